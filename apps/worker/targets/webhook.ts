import { createHmac, createPrivateKey, sign } from 'node:crypto';
import { z } from 'zod';
import { freeValue, renewalOptions, renewed } from './schedule.js';
import { type RetireParts, type RotationTarget, TargetError, type TurnParts } from './rotation-target.js';

/** PKCS #8 around a seed (RFC 8410). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const ED25519_SEED_BYTES = 32;

/** As Standard Webhooks writes them: `whsec_` for HMAC-SHA-256 (24 to 64 bytes), `whsk_` for an Ed25519 seed. */
const signingKey = z.string().regex(/^(whsec_[A-Za-z0-9+/]{32,86}={0,2}|whsk_[A-Za-z0-9+/]{43}=)$/);

const connection = z.strictObject({ url: z.string(), signingKey, certificateAuthority: z.string().optional() });
type Connection = z.infer<typeof connection>;
type Value = z.infer<typeof freeValue>;
type Options = z.infer<typeof renewalOptions>;

const created = z.looseObject({ value: freeValue });
/** Statuses below 500 that say nothing about the call itself: RFC 9110, RFC 6585, RFC 8470. */
const PASSING = new Set([408, 423, 425, 429]);

type Called = Pick<TurnParts<Connection, Value, Options>, 'reach' | 'rotation' | 'connection'>;
type Step = 'create' | 'apply' | 'test' | 'finish';

/**
 * Anything that has an endpoint for it (docs/secret-rotation.md): four calls, signed as Standard Webhooks (standardwebhooks.com) says. The
 * message's id names secret, version and step, so that a repetition can be told.
 */
export const webhook: RotationTarget<Connection, Value, Options> = {
  kind: 'webhook',
  ports: [443, 8443],
  connection,
  value: freeValue,
  options: renewalOptions,
  create: async (parts) => {
    const { current, previous, options } = parts;
    const body = await call(parts, 'create', { current, previous });
    // Without a value in the answer it is ours to make.
    return body.length === 0 ? renewed(current, options) : valueIn(body);
  },
  apply: async (parts) => void (await call(parts, 'apply', values(parts))),
  test: async (parts) => void (await call(parts, 'test', { next: parts.next })),
  revert: async (parts) => void (await call(parts, 'finish', { outcome: 'reverted', ...values(parts) })),
  retire: async (parts: RetireParts<Connection, Value, Options>) =>
    void (await call(parts, 'finish', { outcome: 'promoted', current: parts.current, old: parts.old })),
};

const values = ({ next, current, previous }: TurnParts<Connection, Value, Options>) => ({ next, current, previous });

/** @throws TargetError for an answer that is no success, EgressError for none */
async function call({ reach, rotation, connection: to }: Called, step: Step, data: object): Promise<Uint8Array> {
  const id = `${rotation.secretId}_${rotation.versionId}_${step}`;
  const timestamp = new Date();
  const seconds = String(Math.floor(timestamp.getTime() / 1000));
  const body = JSON.stringify({ type: `keyward.rotation.${step}`, timestamp: timestamp.toISOString(), data: { ...rotation, ...data } });
  const { status, body: answer } = await reach.exchange(to.url, {
    method: 'POST',
    headers: {
      ...{ 'content-type': 'application/json', accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'Keyward' },
      ...{ 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signature(to.signingKey, `${id}.${seconds}.${body}`) },
    },
    body: Buffer.from(body),
    certificateAuthority: to.certificateAuthority,
  });
  if (status >= 200 && status <= 299) return answer;
  // A redirect, too: only the URL that the connection names was meant.
  const refused = status >= 300 && status < 500 && !PASSING.has(status);
  throw new TargetError(refused ? 'refused' : 'unavailable', `status ${status}`);
}

function valueIn(body: Uint8Array): Value {
  try {
    return created.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))).value;
  } catch (cause) {
    throw new TargetError('invalid', 'the answer to create', cause);
  }
}

function signature(key: string, content: string): string {
  const bytes = Buffer.from(key.slice(key.indexOf('_') + 1), 'base64');
  if (key.startsWith('whsec_')) return `v1,${createHmac('sha256', bytes).update(content).digest('base64')}`;
  if (bytes.length !== ED25519_SEED_BYTES) throw new TargetError('invalid', 'connection.signingKey');
  const privateKey = createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, bytes]), format: 'der', type: 'pkcs8' });
  return `v1a,${sign(null, Buffer.from(content), privateKey).toString('base64')}`;
}
