import type { DataSource, EntityManager, EntityMetadata, EntityTarget, FindOptionsWhere, ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import type { QueryDeepPartialEntity } from 'typeorm/query-builder/QueryPartialEntity.js';
import { Sealed } from '../sealed.js';
import { blindIndex, BlindIndexKey, equalUnder, type IndexKeys, versionBytes } from './blind-index.js';
import { type EncryptedColumn, encryptedColumns, invalid } from './columns.js';
import type { TenantOf } from './rows.js';

/** What became of a tenant's rows whose index was old or missing. */
export interface Renewed {
  readonly indexed: number;
  /** Could not be opened, and keep what they had. */
  readonly closed: number;
}

type Indexed = EncryptedColumn & { readonly index: NonNullable<EncryptedColumn['index']> };

const ROWS_AT_ONCE = 500;

/**
 * The blind index of one encrypted property. To rotate its key: `rotate`, after which rows are found under both; `renew`, as often as it
 * leaves rows closed; and some time later, when every save that began before has ended, `forget`.
 */
export class FieldIndex<Entity extends ObjectLiteral> {
  readonly #metadata: EntityMetadata;
  readonly #encrypted: Indexed;

  constructor(
    private readonly dataSource: DataSource,
    private readonly keys: IndexKeys,
    private readonly target: EntityTarget<Entity>,
    property: string,
    private readonly tenant: TenantOf,
  ) {
    this.#metadata = dataSource.getMetadata(target);
    const found = encryptedColumns(this.#metadata).find(({ column }) => column.propertyPath === property);
    if (found?.index === undefined) throw invalid(property, 'has no blind index.');
    this.#encrypted = { ...found, index: found.index };
  }

  /**
   * The condition that finds a tenant's rows with this value. An index of fewer bytes than the usual 16 finds others too: compare what was
   * found once it is open. @throws KeywardError
   */
  async equal(tenant: string, value: unknown, manager: EntityManager = this.dataSource.manager): Promise<FindOptionsWhere<Entity>> {
    const { index, field } = this.#encrypted;
    const ofTenant = typeof this.tenant === 'string' ? { [this.tenant]: tenant } : {};
    return await this.keys.use(manager, tenant, field, (_, keys) => {
      const equal = equalUnder(index.column, index.marker, keys, value);
      return { ...ofTenant, ...equal } as FindOptionsWhere<Entity>;
    });
  }

  /** A new key for a tenant: what is saved from now on is indexed under it. Answers its version. */
  async rotate(tenant: string): Promise<number> {
    const { manager } = this.dataSource;
    const { field } = this.#encrypted;
    const next = 1 + (await this.keys.use(manager, tenant, field, ({ version }) => version));
    await this.keys.add(manager, tenant, field, next);
    return next;
  }

  /** Indexes a tenant's rows under its newest key, soft-deleted ones too; also those saved before there was an index. */
  async renew(tenant: string): Promise<Renewed> {
    const newest = await this.keys.use(this.dataSource.manager, tenant, this.#encrypted.field, ({ version }) => version);
    let indexed = 0;
    let closed = 0;
    for (;;) {
      const rows = await this.#outdated(tenant, newest).offset(closed).limit(ROWS_AT_ONCE).getMany();
      if (rows.length === 0) return { indexed, closed };
      const renewed = await this.#renewRows(tenant, rows);
      indexed += renewed;
      closed += rows.length - renewed;
    }
  }

  /** Drops a tenant's old keys under which no row is indexed any more. Answers how many. */
  async forget(tenant: string): Promise<number> {
    const { manager } = this.dataSource;
    const { field } = this.#encrypted;
    const versions = await this.keys.use(manager, tenant, field, (_, [, ...older]) => older.map(({ version }) => version));
    let dropped = 0;
    for (const version of versions) {
      if (
        (await this.#rowsOf(tenant)
          .andWhere(`${this.#version} = :version`, { version: versionBytes(version) })
          .getCount()) > 0
      )
        continue;
      await manager.delete(BlindIndexKey, { tenant, field, version });
      dropped++;
    }
    return dropped;
  }

  /** Those that can be opened; answers how many. */
  async #renewRows(tenant: string, rows: readonly Entity[]): Promise<number> {
    const { column, index, field } = this.#encrypted;
    const open: { readonly row: Entity; readonly value: Sealed<unknown> }[] = [];
    for (const row of rows) {
      const value: unknown = column.getEntityValue(row);
      if (value instanceof Sealed && (await value.tryOpen()).isOpen) open.push({ row, value });
    }
    const { manager } = this.dataSource;
    const indexes = await this.keys.use(manager, tenant, field, (newest) =>
      open.map(({ value }) => blindIndex(index.marker, newest, value.value)),
    );
    for (const [at, { row, value }] of open.entries()) {
      const update = manager
        .createQueryBuilder()
        .update(this.target)
        .set(index.column.createValueMap(indexes[at]) as QueryDeepPartialEntity<Entity>)
        .callListeners(false);
      // Of the value that was read: whoever has saved another one meanwhile has indexed it.
      await update
        .where(this.#metadata.getEntityIdMap(row)!)
        .andWhere(`${this.dataSource.driver.escape(column.databaseName)} = :stored`, { stored: value.stored })
        .execute();
    }
    return open.length;
  }

  #outdated(tenant: string, newest: number): SelectQueryBuilder<Entity> {
    const { column, index } = this.#encrypted;
    const rows = this.#rowsOf(tenant)
      .andWhere(`row.${column.propertyPath} IS NOT NULL`)
      .andWhere(`(row.${index.column.propertyPath} IS NULL OR ${this.#version} <> :newest)`, { newest: versionBytes(newest) });
    for (const { propertyPath } of this.#metadata.primaryColumns) rows.addOrderBy(`row.${propertyPath}`);
    return rows;
  }

  get #version(): string {
    return `substring(row.${this.#encrypted.index.column.propertyPath} from 1 for 2)`;
  }

  #rowsOf(tenant: string): SelectQueryBuilder<Entity> {
    if (typeof this.tenant !== 'string')
      throw invalid('tenant', 'must name a property of the rows, so that those of a tenant can be found.');
    return this.dataSource.manager
      .createQueryBuilder(this.target, 'row')
      .withDeleted()
      .where({ [this.tenant]: tenant });
  }
}
