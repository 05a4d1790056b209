import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TokenIssuer {
  readonly name: string;
  readonly jwksUri: string;
  /** A token as this issuer signs it (RFC 7515, ES256), good for an hour. */
  token(claims: { readonly sub: string; readonly aud: string }): string;
  stop(): Promise<void>;
}

/** The least of an identity provider on loopback: one key, and who asks gets its public half. By hand, without a library of the product's. */
export async function startIssuer(): Promise<TokenIssuer> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: '1', use: 'sig', alg: 'ES256' }] });
  const server = createServer((_, response) => response.setHeader('content-type', 'application/json').end(jwks));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const name = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    name,
    jwksUri: `${name}/jwks`,
    token: (claims) => {
      const now = Math.floor(Date.now() / 1000);
      const body = { iss: name, iat: now, exp: now + 3600, jti: randomUUID(), ...claims };
      const signed = [{ alg: 'ES256', kid: '1', typ: 'JWT' }, body].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
      const signature = sign('sha256', Buffer.from(signed.join('.')), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return [...signed, signature.toString('base64url')].join('.');
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
