import type { EncryptionContext } from '#contract';

/** What the ISV's database holds of one row. */
export interface StoredItem {
  /** The row's own name. A failed one is shown to the tenant by it: no personal name. */
  readonly itemId: string;
  /** What Encrypt, GenerateDataKey or ReEncrypt answered; of an envelope or a sealed field, its encrypted data key. */
  readonly ciphertext: Uint8Array;
  readonly context?: EncryptionContext | undefined;
}
