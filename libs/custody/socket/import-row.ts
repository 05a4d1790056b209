import { IMPORT_ALGORITHMS, importToken, KEY_SPECS, KEY_USAGES, keyId, keyVersionId, tenantId } from '#contract';
import type { BoundImport, ImportParameters } from '#core';
import { z } from 'zod';
import { messages } from './wire.js';

const bytes = (min: number, max: number) => z.instanceof(Uint8Array).refine((value) => value.length >= min && value.length <= max);
const row = z.object({
  tenant: tenantId,
  importToken,
  keyId,
  versionId: keyVersionId,
  spec: z.enum(KEY_SPECS),
  usage: z.enum(KEY_USAGES),
  logId: z.string().min(1).max(200),
  algorithm: z.enum(IMPORT_ALGORITHMS),
  expiresAt: z.int().min(0),
  // Before custody has made them: none.
  blob: bytes(0, 4096),
  mac: bytes(0, 32),
});

/** An import's row on the wire. */
export const encodeImport = (bound: ImportParameters & Partial<BoundImport>): Buffer =>
  Buffer.from(messages.pack({ blob: new Uint8Array(0), mac: new Uint8Array(0), ...bound }));

/** @throws ZodError for what is none */
export function decodeImport(encoded: Uint8Array): BoundImport {
  const { blob, mac, ...parameters } = row.parse(messages.unpack(encoded));
  return { ...parameters, blob: Uint8Array.from(blob), mac: Uint8Array.from(mac) };
}

/** What `rewrap` is told that the row is, where it is no key version's. */
export const IMPORT = 'import';
