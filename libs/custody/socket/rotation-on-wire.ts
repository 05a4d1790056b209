import { z } from 'zod';
import { alias, keyId, keyVersionId, ROTATION_DAYS } from '#contract';
import type { RotatedKey } from '#core';
import type { RotationClaim } from '../rotation-order.js';
import { decodeRow } from './key-version-row.js';
import { messages } from './wire.js';

const mac = z
  .instanceof(Uint8Array)
  .refine(({ length }) => length === 32)
  .transform((bytes) => Uint8Array.from(bytes));
const claim = z.object({
  key: z.object({
    ...{ keyId, aliases: z.array(alias).max(100), tags: z.record(z.string(), z.string()) },
    ...{ primaryVersion: keyVersionId, namesMac: mac },
  }),
  rotation: z.object({
    version: z.int().min(1),
    intervalDays: z.int().min(ROTATION_DAYS.shortest).max(ROTATION_DAYS.longest),
    mac,
  }),
  versionId: keyVersionId,
  root: z.int().min(0).max(999_999_999),
});
const rotated = z.tuple([z.instanceof(Uint8Array), mac]);

/** The row of the primary version goes beside it. */
export function encodeRotation({ key, rotation, versionId, root }: RotationClaim): Buffer {
  const { keyId: id, aliases, tags, primaryVersion, namesMac } = key;
  const { version, intervalDays, mac: proof } = rotation;
  const named = { keyId: id, aliases: [...aliases], tags, primaryVersion, namesMac };
  return Buffer.from(messages.pack({ key: named, rotation: { version, intervalDays, mac: proof }, versionId, root }));
}

/** Its bytes are the caller's: a frame is wiped. @throws ZodError for anything else */
export const decodeRotation = (encoded: Uint8Array): RotationClaim => claim.parse(messages.unpack(encoded));

/** The version that was asked for, and no other. */
export const readRotated =
  (tenant: string, asked: RotationClaim) =>
  (result: unknown): RotatedKey => {
    const [row, namesMac] = rotated.parse(result);
    const version = decodeRow(row);
    if (version.tenant !== tenant || version.versionId !== asked.versionId || version.keyId !== asked.key.keyId)
      throw new TypeError('Another key version than asked for.');
    return { version, namesMac };
  };
