import { z } from 'zod';
import { keyId, keyVersionId, tenantId } from '#contract';
import type { EndedVersion, KeptByCustody, Tombstone } from '#core';

const mac = z.instanceof(Uint8Array).refine(({ length }) => length === 32);
/** As many as a key can have (core/handlers/key-versions.ts); all of them fit into one frame. */
const arguments_ = z.tuple([keyId, z.array(keyVersionId).min(1).max(1000), z.iso.datetime(), mac]);
const ended = z.tuple([keyVersionId, mac, mac]);

export const encodeTombstone = ({ keyId: key, versionIds, destroyedAt, mac: proof }: Tombstone): readonly unknown[] => [
  key,
  versionIds,
  destroyedAt,
  proof,
];

/** Its bytes are the caller's: a frame is wiped. @throws ZodError for anything else */
export function decodeTombstone(tenant: string, args: readonly unknown[]): Tombstone {
  const [key, versionIds, destroyedAt, proof] = arguments_.parse(args);
  return { tenant: tenantId.parse(tenant), keyId: key, versionIds, destroyedAt, mac: Uint8Array.from(proof) };
}

export function readEndedVersion(result: unknown): EndedVersion & { readonly tombstoneMac: Uint8Array } {
  const [versionId, own, tombstoneMac] = ended.parse(result);
  return { versionId, mac: Uint8Array.from(own), tombstoneMac: Uint8Array.from(tombstoneMac) };
}

const kept = z
  .tuple([
    z.string().regex(/^\d{1,19}$/),
    z.boolean(),
    z.array(keyId),
    z
      .instanceof(Uint8Array)
      .refine(({ length }) => length === 32)
      .nullable(),
  ])
  .transform(
    ([size, hasRoot, destroyed, root]): KeptByCustody => ({
      ...{ signedSize: BigInt(size), hasRoot, destroyed },
      signedRoot: root === null ? undefined : Uint8Array.from(root),
    }),
  );
export const readKept = (result: unknown): KeptByCustody => kept.parse(result);
