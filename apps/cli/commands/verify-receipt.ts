import type { Command } from 'commander';
import { ReceiptRefused, type ShreddingReceipt, verifyReceipt } from '#trail';
import type { OpenSession } from '../session.js';
import { verifyStatement } from './verify-statement.js';

/** For anybody who was given a shredding receipt. */
export function verifyReceiptCommand(program: Command, open: OpenSession): void {
  verifyStatement(program, open, {
    ...{ command: 'verify-receipt', description: 'verify a shredding receipt offline, and say what it says' },
    ...{ verify: verifyReceipt, Refused: ReceiptRefused, inWords },
  });
}

function inWords({ tenant, keyId, versionIds, destroyedAt, record, copiesKept, rootDestroyedAt, finalAt }: ShreddingReceipt): string {
  const days = (kept: number | undefined) => (kept === undefined ? 'not known' : `${kept} days`);
  return [
    `OK: ${keyId} of ${tenant} was destroyed at ${destroyedAt}, with ${versionIds.length} version(s). Record ${record} of the log tells it.`,
    `Copies are kept, says the operator: write-ahead log ${days(copiesKept.wal)}, database ${days(copiesKept.database)}, token ${days(copiesKept.token)}.`,
    ...(rootDestroyedAt === undefined ? [] : [`The root that had wrapped it was destroyed at ${rootDestroyedAt}.`]),
    finalAt === undefined
      ? 'When that is final nobody can say: the operator has not said for how long copies are kept.'
      : `Final since, or from, ${finalAt}: no copy brings it back after that.`,
  ].join('\n');
}
