import { KeywardError } from '#core';

/** The caller is told nothing else, whatever the reason. */
export const unauthenticated = (reason: string, cause?: unknown): KeywardError =>
  new KeywardError('unauthenticated', '', { reason, cause });
