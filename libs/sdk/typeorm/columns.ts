import { Column, type ColumnOptions, type EntityMetadata } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import { InvalidCall } from '../errors.js';
import { Sealed } from '../sealed.js';

export interface EncryptedOptions {
  /** A label for reports and grants, such as `payment`. Values are bound to it: one that was sealed under another does not open. */
  readonly dataClass?: string;
  /** A key's id or `alias/name`; default: that of the `Sealing`. */
  readonly keyId?: string;
  /** What the values are bound to; default `table.column`. Name it when you rename either: values sealed before stay bound to the old name. */
  readonly field?: string;
  /** `json` by default; `bytes` for `Sealed<Uint8Array>`. */
  readonly as?: 'json' | 'bytes';
  readonly nullable?: boolean;
  /** The column's name in the database. */
  readonly name?: string;
}

export interface BlindIndexOptions {
  /** The property with `@Encrypted()`. */
  readonly of: string;
  /** What counts as equal: the text that is indexed. Needed for what is no string. */
  readonly normalize?: (value: never) => string;
  /** Bytes of the MAC that are kept, 4 to 32; fewer tell less, and find more than was asked for. */
  readonly bytes?: number;
  readonly name?: string;
}

/**
 * A column of `Sealed` values, of type bytea. The subscriber of a `Sealing` encrypts and opens; the column's transformer only puts stored
 * bytes into a `Sealed` and takes them out (a transformer cannot wait for Keyward: an async one stores `{}`).
 */
export const Encrypted = (options: EncryptedOptions = {}): PropertyDecorator =>
  sealedColumn(options, (name) => new SealedColumn(name, options));

/** A MAC of an encrypted property, so that equal values can be found: see `Sealing.index`. Never selected, set by the subscriber. */
export const BlindIndex = (options: BlindIndexOptions): PropertyDecorator =>
  sealedColumn({ ...options, nullable: true, select: false }, (name) => new IndexColumn(name, options));

/** A column of readable values that are sensitive: the coverage report shows it as not under a tenant's key. */
export const Sensitive =
  (dataClass: string): PropertyDecorator =>
  (target, property) => {
    const known = SENSITIVE.get(target) ?? new Map<string, string>();
    SENSITIVE.set(target, known.set(String(property), dataClass));
  };
const SENSITIVE = new WeakMap<object, Map<string, string>>();

/** Marks its column, and wraps its bytes. */
export class SealedColumn {
  constructor(
    readonly property: string,
    readonly options: EncryptedOptions,
  ) {}

  /** @throws InvalidCall for what is not sealed: plaintext must not reach a statement, nor a condition that can match nothing */
  to(value: unknown): unknown {
    if (value === null || value === undefined) return value;
    if (!(value instanceof Sealed)) throw invalid(this.property, 'takes a Sealed value; to find one use its blind index.');
    // New ones are encrypted by the subscriber; one that it does not see fails when the driver asks for its bytes.
    return value.stored ?? value;
  }

  from(stored: unknown): unknown {
    return stored instanceof Uint8Array ? Sealed.stored(stored) : stored;
  }
}

const INDEX_BYTES = { least: 4, most: 32, usual: 16 } as const;

/** Marks its column. */
export class IndexColumn {
  readonly bytes: number;

  constructor(
    property: string,
    readonly options: BlindIndexOptions,
  ) {
    this.bytes = options.bytes ?? INDEX_BYTES.usual;
    const fits = Number.isInteger(this.bytes) && this.bytes >= INDEX_BYTES.least && this.bytes <= INDEX_BYTES.most;
    if (!fits) throw invalid(property, `must keep ${INDEX_BYTES.least} to ${INDEX_BYTES.most} bytes.`);
  }

  to = (value: unknown): unknown => value;
  from = (value: unknown): unknown => value;
}

function sealedColumn(
  { nullable = false, name, select }: ColumnOptions,
  marker: (property: string) => SealedColumn | IndexColumn,
): PropertyDecorator {
  return (target, property) =>
    Column({
      type: 'bytea',
      nullable,
      ...(name !== undefined && { name }),
      ...(select !== undefined && { select }),
      transformer: marker(String(property)),
    })(target, property);
}

export interface EncryptedColumn {
  readonly column: ColumnMetadata;
  readonly options: EncryptedOptions;
  readonly field: string;
  readonly index: { readonly column: ColumnMetadata; readonly marker: IndexColumn } | undefined;
}

const KNOWN = new WeakMap<EntityMetadata, readonly EncryptedColumn[]>();

/** @throws InvalidCall for a blind index of what is not encrypted */
export function encryptedColumns(metadata: EntityMetadata): readonly EncryptedColumn[] {
  const known = KNOWN.get(metadata);
  if (known !== undefined) return known;
  const indexes = metadata.columns.flatMap((column) =>
    column.transformer instanceof IndexColumn ? [{ column, marker: column.transformer }] : [],
  );
  const found = metadata.columns.flatMap((column): EncryptedColumn[] => {
    if (!(column.transformer instanceof SealedColumn)) return [];
    const { options } = column.transformer;
    const index = indexes.find(({ marker }) => marker.options.of === column.propertyPath);
    return [{ column, options, field: options.field ?? `${metadata.tableName}.${column.databaseName}`, index }];
  });
  for (const { column, marker } of indexes)
    if (!found.some(({ index }) => index?.column === column))
      throw invalid(column.propertyPath, `indexes ${marker.options.of}, which is not encrypted.`);
  KNOWN.set(metadata, found);
  return found;
}

/** Columns that were declared sensitive, with their classes. */
export const sensitiveColumns = (metadata: EntityMetadata): readonly { readonly column: ColumnMetadata; readonly dataClass: string }[] =>
  metadata.columns.flatMap((column) => {
    const dataClass = column.target instanceof Function ? dataClassOf(column.target.prototype as object, column.propertyName) : undefined;
    return dataClass === undefined ? [] : [{ column, dataClass }];
  });

function dataClassOf(prototype: object | null, property: string): string | undefined {
  if (prototype === null) return undefined;
  return SENSITIVE.get(prototype)?.get(property) ?? dataClassOf(Object.getPrototypeOf(prototype) as object | null, property);
}

/** The call is wrong at this property. */
export const invalid = (property: string, message: string): InvalidCall =>
  new InvalidCall(`${property}: ${message}`, { code: 'invalid-request', fields: [{ field: property, message }] });
