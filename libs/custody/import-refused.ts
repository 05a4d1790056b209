import { InvalidRequest } from '#core';

/** What is wrong with an import, and what the caller is told of it. */
const TOLD = {
  notMaterial: { field: 'encryptedKeyMaterial', message: 'is no key of this spec, wrapped for this import token' },
  otherMaterial: { field: 'encryptedKeyMaterial', message: 'is other material than the version had: only the same may come back' },
  importExpired: { field: 'importToken', message: 'has expired' },
} as const;
export type ImportRefusal = keyof typeof TOLD;

export class ImportRefused extends InvalidRequest {
  constructor(readonly refusal: ImportRefusal) {
    super([TOLD[refusal]]);
  }
}
