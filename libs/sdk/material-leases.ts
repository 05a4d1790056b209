import type { Lease } from '#contract';

/** When the data key of some material was asked for, and under which lease it came. */
export interface MaterialLease {
  readonly askedAt: number;
  readonly lease: Lease | undefined;
}

/** The library's materials have no room for one. */
const LEASES = new WeakMap<object, MaterialLease>();

export const setLease = (material: object, lease: MaterialLease): void => void LEASES.set(material, lease);
export const leaseOf = (material: object): MaterialLease => LEASES.get(material) ?? { askedAt: Date.now(), lease: undefined };
