import { KEY_SPECS, TRIED_ALGORITHMS } from '#contract';
import type {
  BoundImport,
  CustodyCapabilities,
  GeneratedDataKey,
  ImportParameters,
  KeyVersionDraft,
  LogKey,
  Sealed,
  WrappedKeyVersion,
} from '#core';
import { z } from 'zod';
import { decodeImport } from './import-row.js';
import { decodeRow } from './key-version-row.js';

/** Answers of the custodian, copied out of their frame, which is wiped right after. Checked by hand where thousands come a second. */

const capabilities = z.object({
  module: z.string(),
  token: z.object({ serial: z.string(), firmware: z.string() }),
  protectionLevel: z.enum(['HSM', 'SOFTWARE_TOKEN', 'SOFTWARE']),
  specs: z.array(z.enum(KEY_SPECS)),
  unavailable: z.partialRecord(z.enum(KEY_SPECS), z.string()),
  algorithms: z.partialRecord(z.enum(TRIED_ALGORITHMS), z.string()),
  inMemory: z.array(z.enum(TRIED_ALGORITHMS)),
});

export const readNothing = (): void => undefined;
export const readCapabilities = (result: unknown): CustodyCapabilities => capabilities.parse(result);
export const readNote = (result: unknown): string => z.string().min(1).parse(result);
export const readSize = (result: unknown): bigint =>
  BigInt(
    z
      .string()
      .regex(/^\d{1,19}$/)
      .parse(result),
  );
export const readBytes = (result: unknown): Uint8Array => copyOf(first(result)[0]);
export const readLogKey = (result: unknown): LogKey => ({ publicKey: copyOf(first(result)[0]) });

export const readMac = (result: unknown): Uint8Array => {
  const mac = readBytes(result);
  if (mac.length !== 32) throw new TypeError('Not a MAC.');
  return mac;
};

export const readTruth = (result: unknown): boolean => z.boolean().parse(result);

/** One truth a row that was asked about; anything but `true` is none. */
export const readTruthsOf =
  (rows: number) =>
  (result: unknown): boolean[] => {
    const truths = first(result);
    if (truths.length !== rows) throw new TypeError('Not an answer to what was asked.');
    return truths.map((truth) => truth === true);
  };

export function readSealed(result: unknown): Sealed {
  const [iv, ciphertext] = first(result);
  return { iv: copyOf(iv), ciphertext: copyOf(ciphertext) };
}

export function readGeneratedDataKey(result: unknown): GeneratedDataKey {
  const [iv, ciphertext, plaintext] = first(result);
  return { iv: copyOf(iv), ciphertext: copyOf(ciphertext), plaintext: copyOf(plaintext) };
}

/** A new version must be the one that was asked for. */
export const readVersionOf =
  (draft: Pick<KeyVersionDraft, 'tenant' | 'versionId'>) =>
  (result: unknown): WrappedKeyVersion => {
    const version = decodeRow(bytesOf(first(result)[0]));
    if (version.tenant !== draft.tenant || version.versionId !== draft.versionId)
      throw new TypeError('Another key version than asked for.');
    return version;
  };

/** The import that was asked for, and the note that tells of it. */
export const readImportOf =
  (asked: ImportParameters) =>
  (result: unknown): { readonly bound: BoundImport; readonly statement: string } => {
    return { bound: readBoundImport(asked)(result), statement: readNote(first(result)[1]) };
  };

export const readBoundImport =
  (asked: ImportParameters) =>
  (result: unknown): BoundImport => {
    const bound = decodeImport(bytesOf(first(result)[0]));
    if (bound.tenant !== asked.tenant || bound.importToken !== asked.importToken) throw new TypeError('Another import than asked for.');
    return bound;
  };

function first(result: unknown): readonly unknown[] {
  if (!Array.isArray(result)) throw new TypeError('Not an answer.');
  return result;
}

const copyOf = (value: unknown): Uint8Array => Buffer.from(bytesOf(value));

function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('Not bytes.');
  return value;
}
