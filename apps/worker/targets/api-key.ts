import { z } from 'zod';
import { newApiKey, newCredentialId, parseApiKey } from '#core';
import { credentialSummary } from '#contract';
import { type Reach, type RotationTarget, TargetError } from './rotation-target.js';

const apiKey = z.string().refine((text) => parseApiKey(text) !== undefined);
const connection = z.strictObject({
  /** Of the key plane, without a path. */
  url: z.url(),
  /** Of an admin of the same tenant, whose own key is another one. */
  apiKey,
  certificateAuthority: z.string().optional(),
});
type Connection = z.infer<typeof connection>;
const options = z.strictObject({ expiresInDays: z.int().min(1).max(366).default(90) });
type Options = z.infer<typeof options>;

const listed = z.looseObject({ items: z.array(credentialSummary), nextCursor: z.string().optional() });
type Listed = z.infer<typeof credentialSummary>;
/** Of a hundred keys each. */
const MOST_PAGES = 100;
/** The one that is used, and the one that takes its place. */
const KEYS_OF_A_PRINCIPAL = 2;

interface Ask {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path?: string;
  readonly body?: object;
}

/** An API key of one of the tenant's admins or auditors. It is made here and handed in, so that no answer can be lost with it. */
export const apiKeys: RotationTarget<Connection, string, Options> = {
  kind: 'api-key',
  ports: [443, 8443],
  connection,
  value: apiKey,
  options,
  create: ({ current }) => {
    const { tenant } = parsed(current);
    return newApiKey(tenant, newCredentialId(Date.now())).text;
  },
  apply: async ({ reach, connection: to, options: { expiresInDays }, next, current }) => {
    const all = await credentials(reach, to);
    const own = all.find(({ credentialId }) => credentialId === parsed(current).credentialId);
    if (own === undefined || (own.role !== 'admin' && own.role !== 'auditor'))
      throw new TargetError('refused', 'the current key is not known');
    const others = all.filter(({ principal, credentialId }) => principal === own.principal && credentialId !== parsed(next).credentialId);
    if (others.filter(isLive).length >= KEYS_OF_A_PRINCIPAL) throw new TargetError('refused', 'its owner has two keys already');
    const { principal, role } = own;
    await asked(reach, to, { method: 'POST', body: { principal, role, expiresInDays, apiKey: next } });
  },
  // Any answer but 401 knows who asks.
  test: async ({ reach, connection: to, next }) => {
    const { status } = await ask(reach, { ...to, apiKey: next }, { method: 'GET', path: '?limit=1' });
    if (status === 401) throw new TargetError('refused', 'the new key is not accepted');
    mustBe(status, 200, 403, 404);
  },
  revert: ({ reach, connection: to, next }) => revoke(reach, to, next),
  retire: ({ reach, connection: to, old }) => revoke(reach, to, old),
};

const parsed = (text: string) => parseApiKey(text)!;
const isLive = ({ revokedAt, expiresAt }: Listed) => revokedAt === undefined && Date.parse(expiresAt) > Date.now();

async function revoke(reach: Reach, to: Connection, key: string): Promise<void> {
  mustBe((await ask(reach, to, { method: 'DELETE', path: `/${parsed(key).credentialId}` })).status, 204, 200, 404);
}

async function credentials(reach: Reach, to: Connection): Promise<Listed[]> {
  const all: Listed[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const path = `?limit=100${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const { data } = listed.safeParse(await asked(reach, to, { method: 'GET', path }));
    if (data === undefined) throw new TargetError('unavailable', 'an answer of no known form');
    all.push(...data.items);
    if (data.nextCursor === undefined) return all;
    cursor = data.nextCursor;
  }
  throw new TargetError('refused', 'the tenant has too many keys');
}

async function asked(reach: Reach, to: Connection, what: Ask): Promise<unknown> {
  const { status, body } = await ask(reach, to, what);
  mustBe(status, 200, 201);
  return JSON.parse(new TextDecoder().decode(body)) as unknown;
}

async function ask(reach: Reach, to: Connection, { method, path = '', body }: Ask) {
  const { tenant } = parsed(to.apiKey);
  return await reach.exchange(`${to.url.replace(/\/+$/, '')}/v1/tenants/${tenant}/credentials${path}`, {
    method,
    headers: {
      ...{ authorization: `Bearer ${to.apiKey}`, accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'Keyward' },
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: Buffer.from(JSON.stringify(body)) }),
    certificateAuthority: to.certificateAuthority,
  });
}

function mustBe(status: number, ...wanted: readonly number[]): void {
  if (wanted.includes(status)) return;
  throw new TargetError(status >= 300 && status < 500 && status !== 429 ? 'refused' : 'unavailable', `status ${status}`);
}
