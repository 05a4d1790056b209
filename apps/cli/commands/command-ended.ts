import type { ExitCode } from '../exit-codes.js';

/** Ends a command that has said everything already, with a code of its own. */
export class CommandEnded extends Error {
  constructor(readonly exitCode: ExitCode) {
    super('ended');
  }
}
