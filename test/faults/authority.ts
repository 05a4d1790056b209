import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Answer, api } from '../stories/api.js';
import type { Onboarded } from '../stories/onboarded.js';
import type { TokenIssuer } from './token-issuer.js';

type Request = [method: string, path: string, body?: unknown, headers?: Record<string, string>];

/** Those who may change what is allowed: acme's admin, the operator, and the database's superuser. */
export interface Authority {
  readonly world: Onboarded;
  /** What acme's admins may name as their identity provider. */
  readonly issuer: TokenIssuer;
  readonly database: pg.Client;
  /** As acme's admin. */
  admin(...request: Request): Promise<Answer>;
  operator(...request: Request): Promise<Answer>;
  /** In force of acme from now on. */
  publish(document: unknown): Promise<Answer>;
  end(): Promise<void>;
}

export async function authorityOver(world: Onboarded, issuer: TokenIssuer): Promise<Authority> {
  const { keyPlane } = world.platform.urls;
  const database = new pg.Client({ connectionString: world.platform.superuserUrl });
  await database.connect();
  const admin = (...[method, path, body, headers]: Request) =>
    patiently(keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);
  let etag = (await admin('GET', '/policy')).headers.get('etag')!;
  return {
    ...{ world, issuer, database, admin },
    operator: (...[method, path, body]) => patiently(keyPlane, world.operator, method, path, body),
    publish: async (document) => {
      const published = await admin('PUT', '/policy', document, { 'if-match': etag });
      etag = `"${String(published.body['version'])}"`;
      return published;
    },
    end: () => database.end(),
  };
}

/** Waits when it is told to; everything else must work. */
async function patiently(...call: Parameters<typeof api>): Promise<Answer> {
  const answer = await api(...call);
  if (answer.status !== 429) {
    if (answer.status >= 300) throw new Error(`${call[2]} ${call[3]}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  }
  await sleep(1000 * Number(answer.headers.get('retry-after')));
  return await patiently(...call);
}
