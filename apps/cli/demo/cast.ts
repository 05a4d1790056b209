import type { Platform } from '#runtime';
import type { KeywardAdmin, KeywardClient } from '#sdk';

/** A running platform and where the demo puts its files. */
export interface Stage {
  readonly platform: Platform;
  readonly file: (name: string) => string;
}

/** A person with a credential: admin or auditor of a tenant. */
export interface Reader {
  readonly tenant: string;
  readonly admin: KeywardAdmin;
}

/** Everybody who acts in the steps after the first. */
export interface Cast {
  readonly acme: Reader;
  readonly globex: Reader;
  readonly auditor: Reader;
  /** The log's key as acme got it when it enrolled: what its auditor verifies with. */
  readonly acmeVkey: string;
  /** The ISV's service, with the only credential that it has. */
  readonly billing: KeywardClient;
}

/** The two tenants' keys, both known as alias/invoices in their own tenant. */
export interface Keys {
  readonly acme: string;
  readonly globex: string;
}

export const INVOICES = 'alias/invoices';
export const PURPOSE = { purpose: 'invoice' };
