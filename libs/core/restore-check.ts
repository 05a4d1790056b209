import { setTimeout as sleep } from 'node:timers/promises';
import { type KeyId, PLATFORM, type RecordBody, type TenantId } from '#contract';
import { newStopId } from './identifiers.js';
import type { Clock } from './ports/clock.js';
import type { CustodyMemory, LogHead, RestoreStop, RestoreStore } from './ports/restores.js';
import { workerRecord } from './worker-record.js';

const PAGE = 100;
const EVERY_MS = 60_000;

/** What was found to have gone back; each is told, and none of them changes anything that is still wanted. */
export type Restored =
  | { readonly what: 'destroyed-key'; readonly tenant: TenantId; readonly keyId: KeyId }
  /** It has fewer records than were signed, or others. */
  | { readonly what: 'trail'; readonly tenant: TenantId; readonly signedSize: bigint; readonly size: bigint }
  | { readonly what: 'token'; readonly tenant: TenantId; readonly missingRoot: number };

export interface RestoreCheckParts {
  readonly store: RestoreStore;
  readonly custody: CustodyMemory;
  readonly clock: Clock;
  readonly onRestored: (found: Restored) => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Compares the database with what the custodian remembers in files of its own. After the restore of an older copy, keys that were destroyed
 * since are destroyed again, and a tenant whose trail went back is stopped until its admin lifts that; where the token is the older copy,
 * it is told, and nothing is changed: the newer one fits again when it is back. Once before the plane serves, then every minute.
 */
export class RestoreCheck {
  readonly #closing = new AbortController();
  /** Found to be destroyed, while the log did not shrink. */
  readonly #settled = new Map<TenantId, { size: bigint; readonly keys: Set<KeyId> }>();
  readonly #told = new Set<string>();
  /** How much of a log is what was signed. */
  readonly #genuine = new Map<TenantId, bigint>();
  #watching: Promise<void> | undefined;

  constructor(private readonly parts: RestoreCheckParts) {}

  /** @throws KeywardError when the database or custody cannot be asked */
  async round(): Promise<void> {
    const { store } = this.parts;
    let after = '';
    for (let heads: readonly LogHead[]; (heads = await store.logHeads(after, PAGE)).length > 0; ) {
      for (const head of heads) await this.#tenant(head);
      after = heads.at(-1)!.tenant;
    }
  }

  start(): void {
    this.#watching ??= this.#watch();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#watching;
  }

  async #tenant(head: LogHead): Promise<void> {
    const { tenant, size, logId, root } = head;
    const settled = this.#settledOf(head);
    let afterKey = '';
    for (;;) {
      const { signedSize, signedRoot, hasRoot, destroyed } = await this.parts.custody.kept(tenant, { logId, root, afterKey });
      if (afterKey === '') {
        if (signedSize > size) await this.#stop(head, signedSize, 'there are fewer');
        else if (await this.#isOther(tenant, signedSize, signedRoot)) await this.#stop(head, signedSize, 'there are others');
        if (!hasRoot && tenant !== PLATFORM) this.#tell({ what: 'token', tenant, missingRoot: root }, `${tenant} ${root}`);
      }
      for (const keyId of destroyed) if (!settled.has(keyId) && (await this.#destroyAgain(head, keyId))) settled.add(keyId);
      if (destroyed.length < PAGE) return;
      afterKey = destroyed.at(-1)!;
    }
  }

  #settledOf({ tenant, size }: LogHead): Set<KeyId> {
    const known = this.#settled.get(tenant);
    const keys = known === undefined || size < known.size ? new Set<KeyId>() : known.keys;
    this.#settled.set(tenant, { size, keys });
    return keys;
  }

  /** Went back, and grew past what was signed: its beginning is another one. What custody and the database say of the same tree never changes. */
  async #isOther(tenant: TenantId, signedSize: bigint, signedRoot: Uint8Array | undefined): Promise<boolean> {
    if (signedRoot === undefined || this.#genuine.get(tenant) === signedSize) return false;
    const root = await this.parts.store.treeRoot(tenant, signedSize);
    if (root === undefined) return false;
    if (!Buffer.from(root).equals(signedRoot)) return true;
    this.#genuine.set(tenant, signedSize);
    return false;
  }

  async #stop(head: LogHead, signedSize: bigint, instead: Instead): Promise<void> {
    const { store, clock, onRestored } = this.parts;
    const { tenant, size } = head;
    const found = { what: 'trail', tenant, signedSize, size } as const;
    // It has no keys; its log is not signed on, which tells it too.
    if (tenant === PLATFORM) return this.#tell(found, `${tenant} ${signedSize}`);
    const { stop, body } = stopOfRestored(head, signedSize, instead, clock.now().getTime());
    const seq = await store.stopRestored(tenant, stop, body);
    if (seq !== undefined) onRestored(found);
  }

  /** Is there nothing left to do? A key that the database does not know is none of its. */
  async #destroyAgain({ tenant, logId }: LogHead, keyId: KeyId): Promise<boolean> {
    const { store, clock } = this.parts;
    const key = await store.key(tenant, keyId);
    if (key === undefined || key.state === 'Destroyed') return true;
    const done = {
      op: 'DestroyAgain',
      category: 'management',
      key: { id: keyId, state: 'PendingDeletion' },
      change: { before: key.state },
    } as const;
    const seq = await store.destroyAgain(tenant, keyId, workerRecord(logId, clock.now().getTime(), done));
    if (seq !== undefined) this.parts.onRestored({ what: 'destroyed-key', tenant, keyId });
    return false;
  }

  #tell(found: Restored, name: string): void {
    if (this.#told.has(name)) return;
    this.#told.add(name);
    this.parts.onRestored(found);
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    const isOver = () => signal.aborted;
    for (;;) {
      await sleep(EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      if (isOver()) return;
      await this.round().catch(this.parts.onFailure);
    }
  }
}

type Instead = 'there are fewer' | 'there are others';

/** The stop of a tenant whose log went back, and its record. Whoever finds it gives the same reason: it is stopped for that once. */
export function stopOfRestored(
  { logId, size }: Pick<LogHead, 'logId' | 'size'>,
  signedSize: bigint,
  instead: Instead,
  now: number,
): { readonly stop: RestoreStop; readonly body: RecordBody } {
  const [stopId, reason] = [newStopId(now), `The trail went back: ${signedSize} records were signed, and ${instead}.`];
  const change = { stopId, scope: 'everything', signed: Number(signedSize), size: Number(size) };
  return {
    stop: { stopId, reason, fewerThan: instead === 'there are fewer' ? signedSize : undefined },
    body: workerRecord(logId, now, { op: 'StopRestored', category: 'management', change }),
  };
}
