import type { AuditOperation, TenantId } from '#contract';
import { KeywardError } from '../errors.js';
import type { Handlers } from '../pipeline.js';
import type { AuditReads } from '../ports/reads.js';

export interface AuditParts {
  readonly reads: AuditReads;
  /** trail's writeBundle: streams a tar of checkpoint, verifier keys, entries and stored leaf hashes. */
  readonly writeBundle: (bundle: {
    readonly checkpoint: string;
    readonly vkeys: readonly string[];
    readonly entries: AsyncIterable<{ readonly bytes: Uint8Array; readonly leafHash: Uint8Array }>;
  }) => AsyncIterable<Uint8Array>;
}

/** What a tenant's auditors read. Each read is itself a record, durable before the first byte is answered. */
export function auditHandlers({ reads, writeBundle }: AuditParts): Handlers<AuditOperation> {
  const newest = async (tenant: TenantId) => {
    const checkpoint = await reads.checkpoint(tenant);
    if (checkpoint === undefined) throw new KeywardError('not-found', 'The log has no signed checkpoint yet; it will in a moment.');
    return checkpoint;
  };
  return {
    ListRecords: async ({ input, call }) => ({ answer: await reads.records(call.tenant, input), details: {} }),
    GetCheckpoint: async ({ call }) => ({ answer: (await newest(call.tenant)).note, details: {} }),
    GetBundle: async ({ call, snapshot }) => {
      const { note, size } = await newest(call.tenant);
      const entries = reads.entries(call.tenant, size);
      return {
        answer: writeBundle({ checkpoint: note, vkeys: [snapshot.rules.log.vkey], entries }),
        details: { change: { size: Number(size) } },
      };
    },
  };
}
