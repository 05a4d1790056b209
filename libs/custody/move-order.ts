import { ciphertextHeader, type CiphertextKind, isCipherSpec, KeyBindingBroken, rewrapRow } from '#core';
import type { BoundRow, MoveOrder, WrappedKeyVersion } from '#core';
import type { TenantId } from '#contract';

/** An order without its rows, which come as bytes that are cached, and without what is sealed. */
export type MoveClaim = Pick<MoveOrder, 'rewrap' | 'kind'>;

/** What has to be bound before an item is moved: the project that wants it. */
export const boundProject = (tenant: TenantId, { rewrap }: MoveClaim): BoundRow => ({ ...rewrapRow(tenant, rewrap), mac: rewrap.mac });

/** @throws KeyBindingBroken unless the project is about this key, and moves from the one version to the other */
export function mustBeOrdered({ rewrap }: MoveClaim, from: WrappedKeyVersion, to: WrappedKeyVersion): void {
  const itsOwn = [from, to].every(({ keyId, spec }) => keyId === rewrap.keyId && isCipherSpec(spec));
  // Ids of versions are in the order of their making (UUIDv7): anything that is older than the newer one is moved along.
  const isOlder = from.versionId === rewrap.fromVersionId || from.versionId < rewrap.toVersionId;
  if (!itsOwn || to.versionId !== rewrap.toVersionId || !isOlder || from.versionId === to.versionId)
    throw new KeyBindingBroken(`of a re-wrap of ${rewrap.keyId}`);
}

/** What a ciphertext of this kind under this version binds: its own header, and its context. */
export function boundUnder(kind: CiphertextKind, { versionId, spec }: WrappedKeyVersion, context: Uint8Array): Buffer {
  if (!isCipherSpec(spec)) throw new KeyBindingBroken(`of ${versionId}`);
  return Buffer.concat([ciphertextHeader(kind, versionId, spec), context]);
}
