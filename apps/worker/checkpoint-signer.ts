import type { TenantId } from '#contract';
import { type Checkpoints, type CheckpointSigner, type Clock, KeywardError, type LogToSign, systemClock } from '#core';
import { emptyTree, extensionProof, type Frontier, frontierAt, growTree, rootOf, type TileNode } from '#trail';

/** Leaves read at once (core/ports/checkpoints.ts). */
const PAGE = 10_000n;
/** Leaves between two checkpoints at most: what a proof needs is in memory. */
const STEP = 100_000n;
/** A log that goes on being refused is told of again after this; rounds come twice a second. */
const REMIND_MS = 60_000;

export interface SignerLog {
  error(fields: object, message: string): void;
}

/**
 * Keeps every log's newest checkpoint close to its newest record. What it remembers of a log is only a shortcut: it is rebuilt
 * from the stored leaves when unknown, and the custodian refuses to sign a tree without the proof that it extends the last one it signed.
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

  /** One step a round: a log that is far behind keeps the others waiting no longer than one that is not. */
  async #sign({ tenant, logId, origin, keys, size }: LogToSign): Promise<void> {
    const signed = await this.signer.signedSize(tenant, logId);
    // Smaller than what was signed: a restored database. The signer refuses, and that is to be told.
    const from = signed < size ? signed : size;
    const { before, leaves, tree } = await this.#grow(tenant, logId, from, from + STEP < size ? from + STEP : size);
    const claimed = { size: BigInt(tree.size), root: rootOf(tree), proof: extensionProof(before, leaves) };
    const note = await this.signer.signCheckpoint(tenant, { logId, origin, keys }, claimed);
    this.#frontiers.set(logId, tree);
    await this.checkpoints.save(tenant, { size: claimed.size, root: claimed.root, note });
    await this.checkpoints.rollUp(tenant, claimed.size);
  }

  /** The tree of `to` records, and what a proof from the one of `from` needs. */
  async #grow(tenant: TenantId, logId: string, from: bigint, to: bigint): Promise<Grown> {
    const known = this.#frontiers.get(logId);
    // What is remembered beyond `from` was never signed.
    const start = known !== undefined && BigInt(known.size) <= from ? known : await this.#resumed(tenant, from);
    const before = await this.#extend(tenant, start, from, () => undefined);
    const leaves: Uint8Array[] = [];
    const tree = await this.#extend(tenant, before, to, (leaf) => leaves.push(leaf));
    return { before, leaves, tree };
  }

  /** From the stored nodes, which prove nothing: the signer sees whether they fit. From the first record where some are missing. */
  async #resumed(tenant: TenantId, size: bigint): Promise<Frontier> {
    try {
      return await frontierAt(Number(size), (level, index, width) => this.checkpoints.tileHashes(tenant, level, index, width));
    } catch (error) {
      if (error instanceof RangeError) return emptyTree();
      throw error;
    }
  }

  /** From the stored leaves, page by page; nodes above full tiles are stored on the way. */
  async #extend(tenant: TenantId, tree: Frontier, to: bigint, onLeaf: (leaf: Uint8Array) => void): Promise<Frontier> {
    let grown = tree;
    for (let from = BigInt(tree.size); from < to; from = BigInt(grown.size)) {
      const end = from + PAGE < to ? from + PAGE : to;
      const nodes: TileNode[] = [];
      const leaves = await this.checkpoints.leafHashes(tenant, from, end);
      if (BigInt(leaves.length) !== end - from) throw new Error(`Leaves are missing between ${from} and ${end}.`);
      for (const leaf of leaves) {
        grown = growTree(grown, leaf, (node) => nodes.push(node));
        onLeaf(leaf);
      }
      await this.checkpoints.saveNodes(tenant, nodes);
    }
    return grown;
  }
}

interface Grown {
  readonly before: Frontier;
  readonly leaves: readonly Uint8Array[];
  readonly tree: Frontier;
}

/** What tells one failure from another; of what is typed, the reason, because its message is for callers. */
function reasonOf(error: unknown): string {
  if (error instanceof KeywardError) return `${error.code} ${error.reason}`;
  return error instanceof Error ? error.message : 'unknown';
}
