import type { WrappedKeyVersion } from '#core';

/** A key version's row as a caller presents it; nothing in it is believed before its MAC was checked. */
export interface PresentedVersion {
  /** Equal only for rows that are equal in every byte, tenant included: a handle is cached under it, after the MAC was checked. */
  readonly identity: string;
  /** The row itself, decoded when a handle has to be made. @throws RangeError when it is not a row of the caller's tenant. */
  row(): WrappedKeyVersion;
}
