import type { EncryptionContext } from '#contract';

const EMPTY: EncryptionContext = Object.freeze({});

/** Absent and empty are the same context. */
export const contextOf = (given: EncryptionContext | undefined): EncryptionContext => given ?? EMPTY;
