import type { EncryptionContext } from '#contract';
import type { KeywardClient } from '../client.js';
import type { FieldsOptions } from '../fields.js';
import type { TenantOf } from './rows.js';

export interface SealingOptions extends FieldsOptions {
  readonly client: KeywardClient;
  /** Whose a row is: a property of the entities, or how to tell from the row. */
  readonly tenant: TenantOf;
  /** A key's id or `alias/name`, in every tenant; a column may name another. */
  readonly keyId: string;
  /** Pairs of the encryption context of every value, beside its `field` and `dataClass`. */
  readonly context?: EncryptionContext;
  /** `on-load`, the default, opens what `find` answers; `on-demand` leaves it to `open` and `openAll`. */
  readonly opening?: 'on-load' | 'on-demand';
}
