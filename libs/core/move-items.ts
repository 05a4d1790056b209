import type { RecordBody, RewrapAnswer } from '#contract';
import { parseCiphertext } from './ciphertext.js';
import { moveDecisions, moveGrant } from './decide-moves.js';
import { earliest } from './earliest.js';
import { asFailure, KeywardError } from './errors.js';
import { movePermit } from './pipeline.js';
import type { GrantPolicy } from './ports/grants.js';
import type { DueRewrap, ItemMover, MovedItems, SettledItem, WaitingItem } from './ports/moved-items.js';
import { recordedVersion } from './record.js';
import { beforehand } from './rewrap-page.js';
import { type Snapshot, type SnapshotKey, type Snapshots, StaleSnapshot, UNCHECKED } from './snapshot.js';
import { workerRecord } from './worker-record.js';

export interface MoveParts<Project extends DueRewrap = DueRewrap> {
  readonly snapshots: Snapshots;
  readonly grants: GrantPolicy;
  readonly custody: ItemMover;
  readonly items: MovedItems<Project>;
  /** As `platformName` says it. */
  readonly platform?: string | undefined;
}

/** At a time: what a stop has to wait for. */
const PAGE_ITEMS = 200;
/** What custody has in hands at once: one project must not keep every other call waiting. */
const ITEMS_AT_ONCE = 32;
const ATTEMPTS = 2;

/** What became of one item, and what its record tells. */
interface Tried {
  readonly settled: SettledItem;
  readonly told: Pick<RecordBody, 'key' | 'crypto' | 'outcome' | 'error' | 'secret'>;
}

/**
 * Moves the next items of one project, as the pipeline would: snapshot → decide → permit → perform → append. Results, counts and records
 * become durable at once, or not at all: each item is settled once, wherever this is interrupted and whoever else is at it.
 * Answers how many; 0 when there was nothing to do, or it may not be done now: then the project is suspended.
 * @throws KeywardError when it cannot be tried now
 */
export async function moveItems<Project extends DueRewrap>(parts: MoveParts<Project>, project: Project): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const moved = await attemptMove(parts, project);
      if (moved !== undefined) return moved;
    } catch (error) {
      if (!(error instanceof StaleSnapshot)) throw error;
    }
    parts.snapshots.forget(project.tenant);
  }
  return 0;
}

async function attemptMove<Project extends DueRewrap>(parts: MoveParts<Project>, project: Project): Promise<number | undefined> {
  const { snapshots, items: store, platform } = parts;
  const { tenant, keyId, service, itemsPerSecond } = project;
  const now = project.at.getTime();
  const items = await store.waiting(project, Math.min(PAGE_ITEMS, itemsPerSecond));
  if (items.length === 0 && store.end === undefined) return 0;
  const snapshot = await snapshots.of(tenant);
  const key = await snapshot?.key({ reference: keyId });
  if (snapshot === undefined || key === undefined) throw new KeywardError('not-found', '', { reason: 'unknown-key' });
  if (snapshot.rules.unproven === true || key.unproven === true) throw new KeywardError('unavailable', '', { reason: UNCHECKED });
  const { epochs } = snapshot.rules;
  const record = (told: Partial<RecordBody>): RecordBody => ({
    ...workerRecord(snapshot.rules.log.logId, now, {
      ...{ op: 'ReWrap', category: 'use', platform },
      key: { id: keyId, versionId: project.fromVersionId, state: key.state },
      change: { operationId: project.operationId, toVersionId: project.toVersionId, ...(service !== undefined && { service }) },
    }),
    ...told,
  });

  const { tried, refused, validUntil } = await tryItems(parts, snapshot, key, project, items);
  if (refused !== undefined) {
    const { code, reason } = refused;
    const authz = { decision: 'deny' as const, ruleId: moveGrant(project).id };
    await store.suspend(project, code, epochs, record({ outcome: 'refused', error: { code, reason }, authz }));
    return 0;
  }
  const authz = { decision: 'allow' as const, ruleId: moveGrant(project).id };
  if (items.length === 0) return (await store.end?.(project, epochs, record({ op: 'EndRewrap', authz }))) ? 0 : undefined;
  // Items whose records would be equal share one, which counts them.
  const groups = [...Map.groupBy(tried, ({ told }) => JSON.stringify(told)).values()];
  const bodies = groups.map((group) => record({ ...group[0]!.told, authz, ...(group.length > 1 && { count: group.length }) }));
  const settled = { project, epochs, validUntil, items: tried.map((one) => one.settled), bodies };
  return (await store.settle(settled)) ? items.length : undefined;
}

async function tryItems(
  { grants, custody }: Pick<MoveParts, 'grants' | 'custody'>,
  snapshot: Snapshot,
  key: SnapshotKey,
  project: DueRewrap,
  items: readonly WaitingItem[],
) {
  const decide = moveDecisions(grants, snapshot, key, project, project.at.getTime());
  // What a service has may be under any version; which one opens a secret is known.
  const versions = new Set(project.service === undefined ? [project.fromVersionId] : key.versions.keys());
  // Of each, what becomes of it whatever the rules are; undefined: it is to be moved.
  const known = items.map((item) => beforehand({ rewrap: project, versions }, item));
  // The end is decided as an item would be.
  const decisions =
    items.length === 0
      ? [decide({}, undefined)]
      : items.map(({ encryptionContext, ciphertext }, at) =>
          decide(encryptionContext, known[at] === undefined ? parseCiphertext(ciphertext).versionId : undefined),
        );
  const refusals = decisions.map(({ refusal }) => refusal);
  // Not granted is one item's label, unless it is everybody's.
  const refused =
    refusals.find((one) => one !== undefined && one.code !== 'not-granted') ?? (refusals.includes(undefined) ? undefined : refusals[0]);
  const validUntil = earliest(decisions.map((decision) => decision.validUntil));
  const tried: Tried[] = [];
  if (refused !== undefined) return { tried, refused, validUntil };
  for (let at = 0; at < items.length; at += ITEMS_AT_ONCE) {
    const work = items.slice(at, at + ITEMS_AT_ONCE).map(async (item, place) => {
      const refusal = refusals[at + place];
      return refusal === undefined
        ? await tryItem(custody, snapshot, key, project, item, known[at + place])
        : failed(item, new KeywardError(refusal.code, '', refusal), key, project);
    });
    tried.push(...(await Promise.all(work)));
  }
  return { tried, refused: undefined, validUntil };
}

async function tryItem(
  custody: ItemMover,
  snapshot: Snapshot,
  key: SnapshotKey,
  project: DueRewrap,
  item: WaitingItem,
  known: ReturnType<typeof beforehand>,
): Promise<Tried> {
  const { itemId, ciphertext, encryptionContext, secret } = item;
  if (known instanceof KeywardError) return failed(item, known, key, project);
  const context = snapshot.context(encryptionContext);
  const told = (versionId: RewrapAnswer['fromVersionId']) => ({
    key: { id: key.keyId, ...recordedVersion(key.versions.get(versionId)), state: key.state },
    ...(secret && { secret }),
    crypto: { context: context.digests },
    outcome: 'succeeded' as const,
  });
  if (known !== undefined) return { settled: { itemId, status: 'kept' }, told: told(project.toVersionId) };
  const { kind, header, versionId, iv, sealed } = parseCiphertext(ciphertext);
  const [from, to] = [key.versions.get(versionId)!, key.versions.get(project.toVersionId)!];
  try {
    // The AAD has the version's own header: one that names another algorithm would not be noticed.
    if (!Buffer.from(header).equals(from.headers[kind])) throw new KeywardError('decrypt-failed', '', { reason: 'another-algorithm' });
    const permit = movePermit(project.tenant, project.toVersionId, context.bound);
    const made = await custody.moveItem(permit, { rewrap: project, from, to, kind, sealed: { iv, ciphertext: sealed } });
    const moved = Buffer.concat([to.headers[kind], made.iv, made.ciphertext]);
    return { settled: { itemId, status: 'moved', ciphertext: moved }, told: told(versionId) };
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code === 'decrypt-failed') return failed(item, failure, key, project);
    throw error;
  }
}

/** For good: it stays as it is. */
function failed({ itemId, secret }: WaitingItem, { code, reason }: KeywardError, key: SnapshotKey, project: DueRewrap): Tried {
  return {
    settled: { itemId, status: 'failed', code },
    told: {
      key: { id: key.keyId, versionId: project.fromVersionId, state: key.state },
      ...(secret && { secret }),
      outcome: code === 'decrypt-failed' ? 'failed' : 'refused',
      error: { code, reason },
    },
  };
}
