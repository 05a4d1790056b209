import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm';
import type { EncryptionContext } from '#contract';
import type { BoundFields, Fields, FieldScope } from '../fields.js';
import { type Sealable, Sealed, Unopened } from '../sealed.js';
import { blindIndex, IndexKeys } from './blind-index.js';
import { type EncryptedColumn, encryptedColumns, invalid } from './columns.js';
import type { SealingOptions } from './options.js';
import { type Row, rowId, rowOf, tenantOfRow } from './rows.js';

const BOUND_KEPT = 1_000;

/** Encrypts and opens the values of rows, each bound to its tenant, field and row. */
export class RowSealing {
  readonly indexKeys: IndexKeys;
  readonly #bound = new Map<string, BoundFields>();
  /** Where each value belongs. */
  readonly #places = new WeakMap<Sealed<unknown>, string>();

  constructor(
    private readonly fields: Fields,
    private readonly options: Omit<SealingOptions, 'client'>,
  ) {
    this.indexKeys = new IndexKeys((tenant, field) => this.#ofIndex(tenant, field));
  }

  /** Tells the values of a loaded row how to open, and opens them unless that is left to the caller. Never rejects. */
  async loaded(metadata: EntityMetadata, entity: ObjectLiteral): Promise<void> {
    const columns = encryptedColumns(metadata);
    if (columns.length === 0) return;
    const [tenant, id] = [tenantOfRow(this.options.tenant, entity), rowId(metadata, entity)];
    const values = columns.flatMap((encrypted) => {
      const value: unknown = encrypted.column.getEntityValue(entity);
      if (!(value instanceof Sealed)) return [];
      if (tenant === undefined || id === undefined) return [value.openedBy(notSelected)];
      this.#places.set(value, placeOf(encrypted, { tenant, id }));
      return [value.openedBy((stored) => this.#open(encrypted, { tenant, id }, stored))];
    });
    if (this.options.opening !== 'on-demand') await Promise.all(values.map((value) => value.tryOpen()));
  }

  /** Encrypts what is new in a row that is about to be saved; `stored` is the row as the database has it. @throws KeywardError */
  async seal(metadata: EntityMetadata, entity: ObjectLiteral, manager: EntityManager, stored?: ObjectLiteral): Promise<void> {
    const columns = encryptedColumns(metadata);
    const isIn = ({ column }: EncryptedColumn) => column.getEntityValue(entity) !== undefined;
    if (stored === undefined ? !columns.some(isIn) : columns.length === 0) return;
    const row = rowOf(this.options.tenant, metadata, entity, stored);
    await Promise.all(columns.filter(isIn).map((encrypted) => this.#sealColumn(encrypted, row, entity, manager, stored)));
  }

  /** An update by query knows no row, so that it could only break what is bound to one. @throws InvalidCall */
  refuseUpdate(metadata: EntityMetadata, values: ObjectLiteral): void {
    const columns = encryptedColumns(metadata);
    const { tenant } = this.options;
    for (const { column, index } of columns) {
      const value: unknown = column.getEntityValue(values);
      if (value === null) index?.column.setEntityValue(values, null);
      else if (value !== undefined) throw invalid(column.propertyPath, 'is bound to its row: load the row, and save() it.');
    }
    if (columns.length > 0 && typeof tenant === 'string' && values[tenant] !== undefined)
      throw invalid(tenant, 'cannot be changed: encrypted values are bound to it.');
  }

  async #sealColumn(encrypted: EncryptedColumn, row: Row, entity: ObjectLiteral, manager: EntityManager, stored?: ObjectLiteral) {
    const { column, index, field } = encrypted;
    const value: unknown = column.getEntityValue(entity);
    if (value === null) index?.column.setEntityValue(entity, null);
    if (!(value instanceof Sealed) || isStored(value, stored && column.getEntityValue(stored))) return;
    const here = this.#at(placeOf(encrypted, row), value);
    if (here !== value) column.setEntityValue(entity, here);
    if (here.stored === undefined) await here.seal((plain) => this.#encrypt(encrypted, row, plain));
    if (index === undefined) return;
    // One that cannot be read cannot be indexed; that of another value would find it. `renew` does it later.
    if (!here.isOpen) return index.column.setEntityValue(entity, null);
    const bytes = await this.indexKeys.use(manager, row.tenant, field, (newest) => blindIndex(index.marker, newest, here.value));
    index.column.setEntityValue(entity, bytes);
  }

  /** The value itself if it belongs here, or to nobody yet; otherwise a new one with its value. @throws KeywardError if that is closed */
  #at(place: string, value: Sealed<unknown>): Sealed<unknown> {
    const known = this.#places.get(value);
    const belongs = known === place || (known === undefined && value.stored === undefined);
    const here = belongs ? value : Sealed.of(value.value as Sealable);
    this.#places.set(here, place);
    return here;
  }

  #encrypt(encrypted: EncryptedColumn, row: Row, value: unknown): Promise<Uint8Array> {
    const bound = this.#ofColumn(encrypted, row.tenant);
    if (encrypted.options.as !== 'bytes') return bound.encryptJson(value, row.id);
    if (!(value instanceof Uint8Array)) throw invalid(encrypted.column.propertyPath, 'takes bytes.');
    return bound.encrypt(value, row.id);
  }

  #open(encrypted: EncryptedColumn, row: Row, stored: Uint8Array): Promise<unknown> {
    const bound = this.#ofColumn(encrypted, row.tenant);
    return encrypted.options.as === 'bytes' ? bound.decrypt(stored, row.id) : bound.decryptJson(stored, row.id);
  }

  #ofColumn(encrypted: EncryptedColumn, tenant: string): BoundFields {
    const { keyId = this.options.keyId } = encrypted.options;
    return this.#kept(encrypted.field, tenant, () => ({ keyId, context: contextOf(this.options, encrypted) }));
  }

  #ofIndex(tenant: string, field: string): BoundFields {
    const { keyId, context } = this.options;
    return this.#kept(`${field}\0blind-index`, tenant, () => ({ keyId, context: { ...context, field, use: 'blind-index' } }));
  }

  /** Because it costs more to make one than to encrypt a value. */
  #kept(purpose: string, tenant: string, scope: () => Omit<FieldScope, 'tenant'>): BoundFields {
    const name = `${tenant}\0${purpose}`;
    const known = this.#bound.get(name);
    if (known !== undefined) return known;
    if (this.#bound.size >= BOUND_KEPT) this.#bound.clear();
    const made = this.fields.of({ tenant, ...scope() });
    this.#bound.set(name, made);
    return made;
  }
}

/** What Keyward is told of a column's values; the row is bound to each value alone. */
export const contextOf = (
  { context }: Pick<SealingOptions, 'context'>,
  { field, options: { dataClass } }: EncryptedColumn,
): EncryptionContext => ({
  ...context,
  field,
  ...(dataClass !== undefined && { dataClass }),
});

const placeOf = ({ field }: EncryptedColumn, { tenant, id }: Row) => `${tenant}\0${field}\0${id}`;

const notSelected = () => Promise.reject(new Unopened('The tenant and the primary key of this row were not selected with it.'));

function isStored(value: Sealed<unknown>, before: unknown): boolean {
  const [now, then] = [value.stored, before instanceof Sealed ? before.stored : undefined];
  return now !== undefined && then !== undefined && Buffer.compare(now, then) === 0;
}
