import { decodeProtectedHeader, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose';
import { KeywardError } from '#core';
import { z } from 'zod';
import { unauthenticated } from './unauthenticated.js';

/** Between our clock and an issuer's; a token's end knows no tolerance. */
const CLOCK_TOLERANCE_SECONDS = 60;

/** An access token (RFC 9068), an ID token or a service's own; not a logout, event or proof token, which say nothing of who calls. */
const TYPES = ['jwt', 'application/jwt', 'at+jwt', 'application/at+jwt'];
const headerOf = z.object({
  alg: z.string(),
  kid: z.string().max(256).optional(),
  typ: z
    .string()
    .refine((typ) => TYPES.includes(typ.toLowerCase()))
    .optional(),
  // We know no extension (RFC 7515 §4.1.11), nor another form of payload (RFC 7797).
  crit: z.never().optional(),
  b64: z.never().optional(),
});

const verifiedClaims = z.object({
  /** PostgreSQL stores no U+0000, and lone surrogates have no UTF-8: no credential's subject has them. */
  sub: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u),
  exp: z.number(),
  iat: z.number().optional(),
  /** Bound to a key whose possession nobody here asks for (RFC 7800): as a bearer it would be good for whoever stole it. */
  cnf: z.never().optional(),
});
export type VerifiedClaims = z.infer<typeof verifiedClaims>;

export interface Expected {
  readonly algorithms: readonly string[];
  readonly issuer: string;
  readonly audience: string;
  /** From now until its end. */
  readonly longestSeconds: number;
  readonly now: Date;
}

/**
 * The claims of a JWT whose signature, algorithm, issuer, audience and times are as expected (RFC 7519, 8725). What its header says of
 * keys (`jwk`, `jku`, `x5c`, `x5u`) is not looked at.
 * @param key finds the key by the header; its `KeywardError`s pass
 * @throws KeywardError `unauthenticated`
 */
export async function verifiedToken(token: string, key: JWTVerifyGetKey, expected: Expected): Promise<VerifiedClaims> {
  const { algorithms, issuer, audience, now, longestSeconds } = expected;
  const options: JWTVerifyOptions = {
    algorithms: [...algorithms],
    issuer,
    audience,
    currentDate: now,
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    requiredClaims: ['iss', 'aud', 'sub', 'exp'],
  };
  const claims = await checked(token, key, options);
  const seconds = now.getTime() / 1000;
  if (claims.exp <= seconds) throw unauthenticated('token-expired');
  if (claims.exp > seconds + longestSeconds) throw unauthenticated('token-too-long');
  if (claims.iat !== undefined && claims.iat > seconds + CLOCK_TOLERANCE_SECONDS) throw unauthenticated('token-from-the-future');
  return claims;
}

async function checked(token: string, key: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<VerifiedClaims> {
  try {
    headerOf.parse(decodeProtectedHeader(token));
    const { payload } = await jwtVerify(token, key, options);
    return verifiedClaims.parse(payload);
  } catch (error) {
    if (error instanceof KeywardError) throw error;
    // Whatever is wrong with a token, or with the key that it names, nobody is known by it.
    throw unauthenticated('token-invalid', error);
  }
}
