import type { TenantId } from '#contract';
import { type Checkpoints, type CheckpointSigner, type Clock, KeywardError, type LogToSign, systemClock } from '#core';
import { appendLeaf, emptyTree, type Frontier, rootOf } from '#trail';

/** Leaves read at once (core/ports/checkpoints.ts). */
const PAGE = 10_000n;
/** A log that goes on being refused is told of again after this; rounds come twice a second. */
const REMIND_MS = 60_000;

export interface SignerLog {
  error(fields: object, message: string): void;
}

/**
 * Keeps every log's newest checkpoint close to its newest record. What it remembers of a log is only a shortcut: it is rebuilt
 * from the stored leaves when unknown, and the custodian refuses to sign a tree that is not an extension of the last one it signed.
 */
export class CheckpointRounds {
  readonly #frontiers = new Map<string, Frontier>();
  readonly #failures = new Map<string, { readonly reason: string; readonly toldAt: number }>();

  constructor(
    private readonly checkpoints: Checkpoints,
    private readonly signer: CheckpointSigner,
    private readonly log: SignerLog,
    private readonly clock: Clock = systemClock,
  ) {}

  /** Signs every log that has grown, if this process has the lead. A log that cannot be signed does not keep the others waiting. */
  async round(): Promise<void> {
    await this.checkpoints.asLeader(async () => {
      for (const grown of await this.checkpoints.logsToSign()) await this.#signOrTell(grown);
    });
  }

  async #signOrTell(grown: LogToSign): Promise<void> {
    try {
      await this.#sign(grown);
      this.#failures.delete(grown.logId);
    } catch (error) {
      // What was remembered may be what is wrong.
      this.#frontiers.delete(grown.logId);
      this.#tell(grown.logId, error);
    }
  }

  /** Once, again when the reason changes, and as a reminder: a refused log is refused in every round until somebody looks. */
  #tell(logId: string, error: unknown): void {
    const [reason, now] = [reasonOf(error), this.clock.now().getTime()];
    const told = this.#failures.get(logId);
    if (told?.reason === reason && now - told.toldAt < REMIND_MS) return;
    this.#failures.set(logId, { reason, toldAt: now });
    this.log.error({ err: error, logId }, 'a log could not be signed');
  }

  async #sign({ tenant, logId, origin, size }: LogToSign): Promise<void> {
    const frontier = await this.#grow(tenant, logId, size);
    const root = rootOf(frontier);
    const note = await this.signer.signCheckpoint(tenant, { logId, origin }, size, root);
    this.#frontiers.set(logId, frontier);
    await this.checkpoints.save(tenant, { size, root, note });
  }

  async #grow(tenant: TenantId, logId: string, size: bigint): Promise<Frontier> {
    const known = this.#frontiers.get(logId) ?? emptyTree();
    // Smaller than remembered: a restored database. From the start, and the custodian decides.
    let frontier = BigInt(known.size) > size ? emptyTree() : known;
    for (let from = BigInt(frontier.size); from < size; from = BigInt(frontier.size)) {
      const to = from + PAGE < size ? from + PAGE : size;
      const leaves = await this.checkpoints.leafHashes(tenant, from, to);
      if (BigInt(leaves.length) !== to - from) throw new Error(`Leaves are missing between ${from} and ${to}.`);
      for (const leaf of leaves) frontier = appendLeaf(frontier, leaf);
    }
    return frontier;
  }
}

/** What tells one failure from another; of what is typed, the reason, because its message is for callers. */
function reasonOf(error: unknown): string {
  if (error instanceof KeywardError) return `${error.code} ${error.reason}`;
  return error instanceof Error ? error.message : 'unknown';
}
