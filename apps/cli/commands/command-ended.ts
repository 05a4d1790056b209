/** Ends a command that has said everything already, with a code of its own, or of the program that it ran. */
export class CommandEnded extends Error {
  constructor(readonly exitCode: number) {
    super('ended');
  }
}
