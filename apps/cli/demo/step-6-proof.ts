import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TrailRecord, trailRecord } from '#contract';
import { nodeSpeed } from '#sdk';
import { parseCheckpoint, verifyBundle } from '#trail';
import { readable } from '../commands/verify.js';
import type { Cast, Reader, Stage } from './cast.js';
import { mustBeRefused, NotAsExpected, same } from './expectation.js';
import { narrate } from './narrate.js';
import { forgePrincipal } from './tamper.js';

const CHECKPOINT_WITHIN_MS = 10_000;

/** The auditor reads and verifies; then somebody with the database in hand forges one byte. `victim` is the record that he forges. */
export async function proof(stage: Stage, { auditor, acmeVkey }: Cast, victim: TrailRecord): Promise<void> {
  narrate.step(6, "acme's auditor reads the trail and verifies it offline; the database is tampered with, and it shows");
  const size = await listTrail(auditor);
  await mustBeRefused(
    {
      what: 'the auditor tries to make a key',
      attempt: () => auditor.admin.createKey('acme'),
      code: 'not-allowed',
      reason: 'role-auditor',
    },
    auditor,
  );

  await checkpointCovers(auditor, size);
  const genuine = await download(auditor, stage.file('acme-genuine.tar'));
  const report = await verifyBundle(createReadStream(genuine), { vkey: acmeVkey, ...nodeSpeed });
  if (report.status === 'failed') throw new NotAsExpected('the genuine bundle', 'verified', readable(report));
  narrate.line(`verified offline: ${genuine}`);
  for (const line of readable(report).split('\n')) narrate.line(`  ${line}`);
  narrate.checked(`the signature by acme's own log key and all ${report.size} records are as they were`);

  await forgePrincipal(stage.platform.superuserUrl, 'acme', victim.seq);
  narrate.line(`the database's superuser changed one byte of record ${victim.seq}: "billing" became "filling"`);
  const forged = await download(auditor, stage.file('acme-forged.tar'));
  const verdict = await verifyBundle(createReadStream(forged), { vkey: acmeVkey, ...nodeSpeed });
  if (verdict.status === 'verified') throw new NotAsExpected('the forged bundle', 'a failed verification', 'verified');
  same('what the verifier found', verdict.code, 'record-changed');
  same('the record that the verifier names', verdict.index ?? -1, victim.seq);
  narrate.checked(`keyward verify: ${verdict.message}`);
}

/** Lists the whole trail and answers its size. */
async function listTrail({ admin, tenant }: Reader): Promise<number> {
  const page = await admin.listRecords(tenant, { limit: 1000 });
  const records = page.items.map((item) => trailRecord.parse(item));
  const refused = records.filter(({ outcome }) => outcome !== 'succeeded');
  same('records of the log, from 0 without a gap', records.filter(({ seq }, index) => seq === index).length, page.size);
  narrate.line(`otto lists ${records.length} records, ${refused.length} of them refusals:`);
  for (const { seq, actor, op, outcome, error } of refused)
    narrate.line(`  record ${seq}  ${actor.type} ${actor.principal}  ${op}  ${outcome}: ${error?.code} (${error?.reason})`);
  return page.size;
}

/** Checkpoints come at most two seconds after a record; the bundle ends where the newest one does. */
async function checkpointCovers({ admin, tenant }: Reader, size: number): Promise<void> {
  const deadline = performance.now() + CHECKPOINT_WITHIN_MS;
  for (;;) {
    const signed = parseCheckpoint(await admin.checkpoint(tenant)).size;
    if (signed >= BigInt(size)) return;
    if (performance.now() > deadline) throw new NotAsExpected('the newest checkpoint', `at least ${size} records`, `${signed}`);
    await sleep(200);
  }
}

async function download({ admin, tenant }: Reader, file: string): Promise<string> {
  await pipeline(await admin.bundle(tenant), createWriteStream(file, { mode: 0o600 }));
  return file;
}
