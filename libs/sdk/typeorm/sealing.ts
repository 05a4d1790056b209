import type { DataSource, EntityTarget, ObjectLiteral } from 'typeorm';
import { BatchedDataKeys } from '../batched-data-keys.js';
import { Fields } from '../fields.js';
import { Sealed } from '../sealed.js';
import { BlindIndexKey } from './blind-index.js';
import { encryptedColumns, invalid } from './columns.js';
import { type Covered, coverageOf } from './coverage.js';
import { FieldIndex } from './field-index.js';
import type { SealingOptions } from './options.js';
import { RowSealing } from './row-sealing.js';
import { SealingSubscriber } from './subscriber.js';

/**
 * Encryption of the `@Encrypted()` columns of one data source, under each tenant's own key. Create it after `initialize`. Give it to a
 * `RuleListener`, so that a stop wipes its data keys; values that are open stay so in the memory of this process.
 */
export class Sealing {
  readonly #fields: Fields;
  readonly #rows: RowSealing;

  /** @throws InvalidCall for columns that do not fit together, or an index without `BlindIndexKey` among the entities */
  constructor(
    private readonly dataSource: DataSource,
    private readonly options: SealingOptions,
  ) {
    const columns = dataSource.entityMetadatas.flatMap(encryptedColumns);
    const indexed = columns.find(({ index }) => index !== undefined);
    if (indexed !== undefined && !dataSource.hasMetadata(BlindIndexKey))
      throw invalid(indexed.column.propertyPath, 'has a blind index: add BlindIndexKey to the entities of the data source.');
    this.#fields = new Fields(new BatchedDataKeys(options.client), options);
    this.#rows = new RowSealing(this.#fields, options);
    dataSource.subscribers.push(new SealingSubscriber(this.#rows));
  }

  /** Opens these values, with one request a tenant. Never throws: afterwards each `isOpen`, or says its `reason`. */
  async openAll(values: Iterable<Sealed<unknown> | null | undefined>): Promise<void> {
    await Promise.all([...values].filter((value) => value instanceof Sealed).map((value) => value.tryOpen()));
  }

  /** The blind index of an encrypted property. @throws InvalidCall where there is none */
  index<Entity extends ObjectLiteral>(target: EntityTarget<Entity>, property: string): FieldIndex<Entity> {
    return new FieldIndex(this.dataSource, this.#rows.indexKeys, target, property, this.options.tenant);
  }

  /** What is encrypted under which key of which tenant, and what is not: counted in the database. `coverageText` prints it. */
  async coverage(): Promise<Covered[]> {
    return await coverageOf(this.dataSource, this.options);
  }

  /** Wipes the data keys that are held, of one tenant or of all. */
  wipe(tenant?: string): void {
    this.#fields.wipe(tenant);
  }

  /** Wipes, and neither encrypts nor opens any more. */
  close(): void {
    this.#fields.close();
  }
}
