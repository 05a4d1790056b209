import { type AuditOperation, TILE_WIDTH } from '#contract';
import type { Handlers } from '../pipeline.js';
import type { PolicyTools } from '../ports/grants.js';
import type { AuditReads, Reader } from '../ports/reads.js';
import type { TrailFormats } from '../ports/trail-formats.js';
import type { RecordCursors } from '../record-cursors.js';
import { coverage } from './coverage.js';
import { inventoryPage } from './inventory.js';
import { keyLinks } from './key-links.js';
import { newestCheckpoint } from './newest-checkpoint.js';
import { destroyed } from './destroyed.js';
import { consistencyProof, recordProof, tilesOf } from './proofs.js';
import { recordsPage } from './records.js';
import { tileOf } from './tiles.js';

export interface AuditParts {
  readonly reads: AuditReads;
  readonly formats: TrailFormats;
  readonly tools: Pick<PolicyTools, 'whoCan'>;
  readonly cursors: RecordCursors;
}

/** Checkpoints in a bundle, beside the newest. */
const CHECKPOINTS_IN_BUNDLE = 1000;

/** What a tenant's auditors read. Each read is itself recorded: alone, or counted with those of its minute. */
export function auditHandlers({ reads, formats, tools, cursors }: AuditParts): Handlers<AuditOperation> {
  return {
    ListRecords: async (step) => ({ answer: await recordsPage(reads, cursors, step), details: {} }),
    GetCheckpoint: async ({ principal }) => ({ answer: (await newestCheckpoint(reads, principal)).note, details: {} }),
    ListCheckpoints: async ({ input, principal }) => ({ answer: await reads.checkpoints(principal, input), details: {} }),
    GetTile: async ({ input, principal }) => ({ answer: await tileOf(reads, formats, principal, input), details: {} }),
    GetLog: async ({ principal, snapshot }) => {
      const { logId, origin, vkey } = snapshot.rules.log;
      const signedSize = Number((await reads.checkpoint(principal))?.size ?? 0);
      const { vkeys, rotations } = await keyLinks(await reads.logKeys(principal), formats, tilesOf(reads, principal));
      const { minIndex, days: retentionDays } = await reads.retention(principal);
      const keys = { vkeys: [...vkeys, vkey], rotations: [...rotations] };
      return { answer: { logId, origin, ...keys, minIndex, retentionDays, signedSize }, details: {} };
    },
    GetRecordProof: async ({ input, principal }) => ({ answer: await recordProof(reads, formats, principal, input.seq), details: {} }),
    GetConsistencyProof: async ({ input, principal }) => ({
      answer: await consistencyProof(reads, formats, principal, input),
      details: {},
    }),
    GetRecordStats: async ({ input, principal }) => ({ answer: await reads.stats(principal, input), details: {} }),
    ListKeyInventory: async (step) => ({ answer: await inventoryPage(reads, tools, step), details: {} }),
    ReadShreddingReceipt: async ({ input, principal }) => ({
      answer: destroyed(await reads.shreddingReceipt(principal, input.keyId)),
      details: { key: { id: input.keyId } },
    }),
    ListPolicyHistory: async ({ input, principal }) => ({ answer: await reads.policyHistory(principal, input), details: {} }),
    ListLeases: async ({ input, principal }) => ({ answer: await reads.leases(principal, input), details: {} }),
    GetCoverage: async (step) => ({ answer: await coverage(reads, step), details: {} }),
    GetBundle: async ({ principal, snapshot }) => {
      const { note, size } = await newestCheckpoint(reads, principal);
      const { items } = await reads.checkpoints(principal, { beforeSize: Number(size), limit: CHECKPOINTS_IN_BUNDLE, spread: true });
      const { vkeys, rotations } = await keyLinks(await reads.logKeys(principal), formats, tilesOf(reads, principal));
      const { minIndex } = await reads.retention(principal);
      const bundle = {
        checkpoint: note,
        vkeys: [...vkeys, snapshot.rules.log.vkey],
        rotations,
        checkpoints: items.map((earlier) => earlier.note).reverse(),
        pruned: prunedTiles(reads, principal, minIndex),
        entries: reads.entries(principal, BigInt(minIndex), size),
      };
      return { answer: formats.writeBundle(bundle), details: { change: { size: Number(size) } } };
    },
  };
}

/** Hashes of what was pruned, a tile at a time. */
async function* prunedTiles(reads: Pick<AuditReads, 'tileHashes'>, reader: Reader, minIndex: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < minIndex / TILE_WIDTH; index++) yield Buffer.concat(await tilesOf(reads, reader)(0, index, TILE_WIDTH));
}
