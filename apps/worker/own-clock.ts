import { type Clock, KeywardError } from '#core';

/**
 * Nothing ends for good by one clock alone: what the database says is over must be over by this process's clock too. Both are set by
 * others; only one that is wrong in the same direction on both hosts, and stays so, ends anything early.
 * @throws KeywardError unavailable: the job fails, is told as failing, and is tried again
 */
export function mustBeOver({ dueAt }: { readonly dueAt: Date }, clock: Clock): void {
  if (dueAt.getTime() > clock.now().getTime())
    throw new KeywardError('unavailable', '', { reason: "clock: the wait is over by the database's, not by the worker's" });
}
