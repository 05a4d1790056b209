import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller } from './caller.js';
import type { Customer, FaultWorld } from './fault-world.js';

const PAUSE_MS = 150;
const PAGE = 200;
/** One in so many asks for another customer's log. */
const FOREIGN = 0.2;

/** What an auditor was shown of a log. */
export interface Shown {
  readonly records?: readonly (readonly [seq: number, requestId: string, op: string])[];
  readonly note?: string;
}

/** Reads the log from its beginning, and its newest checkpoint, again and again. */
export async function auditor(
  world: FaultWorld,
  caller: Caller,
  own: Customer,
  other: Customer,
  random: () => number,
  isOver: () => boolean,
): Promise<void> {
  const base = world.onboarded.platform.urls.auditor;
  const by = `${own.name}-auditor`;
  const read = (op: string, tenant: string, path: string, got: Parameters<Caller['call']>[2]) =>
    caller.call(
      { op, tenant, by, about: { foreign: tenant !== own.name } },
      [base, own.auditor, 'GET', `/v1/tenants/${tenant}${path}`],
      got,
    );
  for (let cursor = ''; !isOver(); ) {
    await sleep(random() * PAUSE_MS);
    const tenant = random() < FOREIGN ? other.name : own.name;
    await read('GetCheckpoint', tenant, '/checkpoint', ({ status, body }) => (status === 200 ? { note: String(body['text']) } : {}));
    const page = await read('ListRecords', tenant, `/records?limit=${PAGE}${cursor}`, ({ body }) => ({
      records: ((body['items'] ?? []) as { seq: number; op: string; request: { requestId: string } }[]).map(({ seq, op, request }) => [
        ...[seq, request.requestId, op],
      ]),
    }));
    if (page?.status !== 200 || tenant !== own.name) continue;
    const next = page.body['nextCursor'];
    cursor = typeof next === 'string' ? `&cursor=${encodeURIComponent(next)}` : '';
  }
}
