import type { Command } from 'commander';
import { NoteRefused, parseVkey, ReceiptRefused, type ShreddingReceipt, verifyReceipt } from '#trail';
import { EXIT } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { vkeysOption } from './options.js';

const AFTER_HELP = `
Needs no server. The key is that of the tenant's log, which signs the log's checkpoints too.
Where that key was rotated, give each one that you pinned: any of them will do.
Exit code 0: it is signed by that key, or one of them. 6: it is not.

Example:
  keyward verify-receipt receipt --vkey 'keyward.example/audit/log_…+…'
`;

/** For anybody who was given a shredding receipt. */
export function verifyReceiptCommand(program: Command, open: OpenSession): void {
  program
    .command('verify-receipt <file>')
    .description('verify a shredding receipt offline, and say what it says')
    .addOption(vkeysOption())
    .addHelpText('after', AFTER_HELP)
    .action(async (file: string, { vkey }: { vkey: readonly string[] }, command: Command) => {
      const session = open(command);
      const known = session.pinnedVkeys(vkey).map(parseVkey);
      const text = (await bytesFrom(session.terminal, file)).toString('utf8');
      try {
        const receipt = await verifyReceipt(text, known);
        session.answer({ status: 'verified', ...receipt }, inWords(receipt));
      } catch (error) {
        if (!(error instanceof NoteRefused || error instanceof ReceiptRefused)) throw error;
        session.answer({ status: 'failed', code: error.code, message: error.message }, `FAILED (${error.code})\n${error.message}`);
        throw new CommandEnded(EXIT.verification);
      }
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
