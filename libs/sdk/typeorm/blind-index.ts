import { createHmac, randomBytes } from 'node:crypto';
import { Column, Entity, type EntityManager, In, type ObjectLiteral, PrimaryColumn } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import type { BoundFields } from '../fields.js';
import { type IndexColumn, invalid } from './columns.js';

/** Add it to the entities of a data source with blind indexes; docs/sdk-typeorm.md has its table. */
@Entity('keyward_index_key')
export class BlindIndexKey {
  @PrimaryColumn('text')
  tenant!: string;

  @PrimaryColumn('text')
  field!: string;

  @PrimaryColumn('int')
  version!: number;

  /** 32 random bytes as a field v1 of the tenant's, whose row is the version. */
  @Column('bytea')
  sealed!: Uint8Array;
}

/** One that is in use for a moment. */
export interface IndexKey {
  readonly version: number;
  readonly key: Uint8Array;
}

const KEY_BYTES = 32;
const VERSION_BYTES = 2;
const MAX_VERSION = 0xffff;

/**
 * The keys of blind indexes: one for each tenant and field, and each version of it. They rest in the service's own database, encrypted
 * under the tenant's key; here they are unwrapped for each use, with a data key that is leased as any other. So a stop ends searching too.
 */
export class IndexKeys {
  /** By connection, on which one query follows the other. */
  readonly #lines = new WeakMap<object, { last: Promise<unknown>; readonly asked: Map<string, Promise<readonly BlindIndexKey[]>> }>();

  constructor(private readonly boundTo: (tenant: string, field: string) => BoundFields) {}

  /** All versions, the newest first, wiped when `work` is done. The first is made here. @throws KeywardError */
  async use<Answer>(manager: EntityManager, tenant: string, field: string, work: (newest: IndexKey, all: readonly IndexKey[]) => Answer) {
    const keys: IndexKey[] = [];
    try {
      for (const { version, sealed } of await this.#rows(manager, tenant, field))
        keys.push({ version, key: await this.boundTo(tenant, field).decrypt(sealed, String(version)) });
      const [newest] = keys;
      if (newest === undefined) throw invalid(field, 'has no index key that this transaction can see; try again.');
      return work(newest, keys);
    } finally {
      for (const { key } of keys) key.fill(0);
    }
  }

  /** Adds this version, unless it is there. */
  async add(manager: EntityManager, tenant: string, field: string, version: number): Promise<void> {
    if (version > MAX_VERSION) throw invalid(field, `has used up its ${MAX_VERSION} index versions.`);
    const key = randomBytes(KEY_BYTES);
    try {
      const sealed = await this.boundTo(tenant, field).encrypt(key, String(version));
      await manager.createQueryBuilder().insert().into(BlindIndexKey).values({ tenant, field, version, sealed }).orIgnore().execute();
    } finally {
      key.fill(0);
    }
  }

  #rows(manager: EntityManager, tenant: string, field: string): Promise<readonly BlindIndexKey[]> {
    const connection = manager.queryRunner ?? manager;
    const line = this.#lines.get(connection) ?? { last: Promise.resolve(), asked: new Map<string, Promise<readonly BlindIndexKey[]>>() };
    this.#lines.set(connection, line);
    const name = `${tenant}\0${field}`;
    const asked = line.asked.get(name);
    if (asked !== undefined) return asked;
    const reading = line.last.then(() => this.#read(manager, tenant, field)).finally(() => line.asked.delete(name));
    line.last = reading.catch(() => undefined);
    line.asked.set(name, reading);
    return reading;
  }

  async #read(manager: EntityManager, tenant: string, field: string): Promise<readonly BlindIndexKey[]> {
    const find = () => manager.find(BlindIndexKey, { where: { tenant, field }, order: { version: 'DESC' } });
    const found = await find();
    if (found.length > 0) return found;
    await this.add(manager, tenant, field, 1);
    return await find();
  }
}

/** u16 version ‖ the first bytes of HMAC-SHA-256 (RFC 2104) of the text under that version's key. */
export function blindIndex({ bytes, options }: IndexColumn, { version, key }: IndexKey, value: unknown): Uint8Array {
  const normalize = options.normalize as ((value: unknown) => unknown) | undefined;
  const text = normalize === undefined ? value : normalize(value);
  if (typeof text !== 'string') throw invalid(options.of, 'is indexed by a string: give its blind index a `normalize`.');
  return Buffer.concat([versionBytes(version), createHmac('sha256', key).update(text, 'utf8').digest().subarray(0, bytes)]);
}

/** As an index begins with it. */
export function versionBytes(version: number): Buffer {
  const bytes = Buffer.alloc(VERSION_BYTES);
  bytes.writeUInt16BE(version);
  return bytes;
}

/** Equal under any version: rows that are not indexed anew yet are found as well. */
export function equalUnder(column: ColumnMetadata, marker: IndexColumn, keys: readonly IndexKey[], value: unknown): ObjectLiteral {
  return column.createValueMap(In(keys.map((key) => blindIndex(marker, key, value))));
}
