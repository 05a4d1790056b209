import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { ListRecordsQuery } from '#contract';
import { canonicalJson } from './canonical-json.js';
import { InvalidRequest } from './errors.js';
import type { Principal } from './principal.js';

/** What a list shows, besides where it goes on. */
export type ListedRecords = Omit<ListRecordsQuery, 'cursor' | 'limit' | 'asOf'>;
export interface RecordsPlace {
  /** Records in the log, as the first page saw it. */
  readonly asOf: number;
  readonly nextSeq: number;
}
type Whose = Pick<Principal, 'tenant' | 'name'>;

const MAC_BYTES = 16;
const CURSOR_BYTES = 8 + 8 + MAC_BYTES;

/** Where a list of records goes on: two numbers under a MAC, which ties them to the tenant, the caller and the filters of the list. */
export class RecordCursors {
  readonly #key: KeyObject;

  /** `pepper`: a secret that every auditor process of the platform has. */
  constructor(pepper: KeyObject) {
    this.#key = createSecretKey(createHmac('sha256', pepper).update('keyward/records-cursor/v1').digest());
  }

  seal(whose: Whose, listed: ListedRecords, place: RecordsPlace): string {
    const numbers = Buffer.alloc(CURSOR_BYTES - MAC_BYTES);
    numbers.writeBigUInt64BE(BigInt(place.asOf));
    numbers.writeBigUInt64BE(BigInt(place.nextSeq), 8);
    return Buffer.concat([numbers, this.#mac(whose, listed, numbers)]).toString('base64url');
  }

  /** @throws InvalidRequest unless `seal` made it for the same list of the same caller */
  open(whose: Whose, listed: ListedRecords, cursor: string): RecordsPlace {
    const bytes = Buffer.from(cursor, 'base64url');
    const numbers = bytes.subarray(0, CURSOR_BYTES - MAC_BYTES);
    const isOurs = bytes.length === CURSOR_BYTES && timingSafeEqual(bytes.subarray(-MAC_BYTES), this.#mac(whose, listed, numbers));
    if (!isOurs || bytes.toString('base64url') !== cursor)
      throw new InvalidRequest([{ field: 'cursor', message: 'is not a cursor of this list' }]);
    return { asOf: Number(numbers.readBigUInt64BE()), nextSeq: Number(numbers.readBigUInt64BE(8)) };
  }

  #mac({ tenant, name }: Whose, listed: ListedRecords, numbers: Uint8Array): Buffer {
    const list = canonicalJson([tenant, name, listed]);
    return createHmac('sha256', this.#key).update(numbers).update(list).digest().subarray(0, MAC_BYTES);
  }
}
