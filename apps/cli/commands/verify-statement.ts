import type { Command } from 'commander';
import { NoteRefused, parseVkey, type VerifierKey } from '#trail';
import { EXIT } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { vkeysOption } from './options.js';

/** A statement that custody signed, and how to read it. */
interface Statement<Read extends object> {
  readonly command: string;
  readonly description: string;
  /** @throws NoteRefused, or what `Refused` makes */
  readonly verify: (text: string, known: readonly VerifierKey[]) => Promise<Read>;
  readonly Refused: new (detail: string) => Error & { readonly code: string };
  readonly inWords: (read: Read) => string;
}

/** `verify-… <file>`: offline, for anybody who was given one. */
export function verifyStatement<Read extends object>(program: Command, open: OpenSession, statement: Statement<Read>): void {
  const { command: name, description, verify, Refused, inWords } = statement;
  program
    .command(`${name} <file>`)
    .description(description)
    .addOption(vkeysOption())
    .addHelpText('after', afterHelp(name))
    .action(async (file: string, { vkey }: { vkey: readonly string[] }, command: Command) => {
      const session = open(command);
      const known = session.pinnedVkeys(vkey).map(parseVkey);
      const text = (await bytesFrom(session.terminal, file)).toString('utf8');
      try {
        const read = await verify(text, known);
        session.answer({ status: 'verified', ...read }, inWords(read));
      } catch (error) {
        if (!(error instanceof NoteRefused || error instanceof Refused)) throw error;
        session.answer({ status: 'failed', code: error.code, message: error.message }, `FAILED (${error.code})\n${error.message}`);
        throw new CommandEnded(EXIT.verification);
      }
    });
}

const afterHelp = (name: string): string => `
Needs no server. The key is that of the tenant's log, which signs the log's checkpoints too.
Where that key was rotated, give each one that you pinned: any of them will do.
Exit code 0: it is signed by that key, or one of them. 6: it is not.

Example:
  keyward ${name} statement --vkey 'keyward.example/audit/log_…+…'
`;
