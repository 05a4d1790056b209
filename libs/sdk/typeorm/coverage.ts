import type { DataSource, EntityMetadata, ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import { versionIdOf } from '#contract';
import { KeywardError } from '../errors.js';
import { parseField } from '../field-format.js';
import { reasonOf, Sealed, type SealedReason } from '../sealed.js';
import { type EncryptedColumn, encryptedColumns, sensitiveColumns } from './columns.js';
import type { SealingOptions } from './options.js';
import { contextOf } from './row-sealing.js';
import { tenantOfRow } from './rows.js';

/** Values of one column, of one tenant, that are in one state. */
export interface Covered {
  readonly table: string;
  readonly column: string;
  readonly dataClass: string | undefined;
  /** Undefined where the tenant is told by a function, which SQL cannot ask. */
  readonly tenant: string | undefined;
  /** `sealed`: under a tenant's key · `unsealed`: bytes that no key of a tenant protects · `readable`: declared sensitive, and not encrypted · `empty`: null. */
  readonly state: 'sealed' | 'unsealed' | 'readable' | 'empty';
  readonly values: number;
  readonly keyVersionId: string | undefined;
  /** By asking Keyward, without using the key; undefined where it does not say. */
  readonly keyId: string | undefined;
  /** Whether the values can be read now. */
  readonly now: 'open' | SealedReason | undefined;
}

/** Starts as a field v1 does, and is no shorter than the shortest. */
const SEALED = `substring(value from 1 for 3) = decode('4b4601', 'hex') and octet_length(value) >= 80`;
const STATE = `case when value is null then 'empty' when ${SEALED} then encode(substring(value from 5 for 16), 'hex') else 'unsealed' end`;
const READABLE = `case when value is null then 'empty' else 'readable' end`;

/** Every value of every column that is encrypted, or declared `@Sensitive`, counted where it stands: soft-deleted rows too. */
export async function coverageOf(source: DataSource, options: SealingOptions): Promise<Covered[]> {
  const covered: Covered[] = [];
  // A child of single-table inheritance stands in its parent's table, and its parent knows its columns.
  for (const metadata of source.entityMetadatas.filter(({ tableType }) => tableType !== 'entity-child')) {
    for (const encrypted of encryptedColumns(metadata))
      for (const counted of await counts(source, options, metadata, encrypted.column, STATE))
        covered.push(await coveredBy(source, options, metadata, encrypted, counted));
    for (const { column, dataClass } of sensitiveColumns(metadata))
      for (const { tenant, state, values } of await counts(source, options, metadata, column, READABLE))
        covered.push({
          ...placed(metadata, column),
          dataClass,
          tenant,
          state: state as Covered['state'],
          values: Number(values),
          ...NO_KEY,
        });
  }
  return covered;
}

/** The report as aligned text, what is under no tenant's key marked by `!`. */
export function coverageText(covered: readonly Covered[]): string {
  const lines = covered.map(({ table, column, dataClass, tenant, state, values, keyId, keyVersionId, now }) => [
    state === 'unsealed' || state === 'readable' ? '!' : '',
    ...[`${table}.${column}`, dataClass ?? '-', tenant ?? '-', state, String(values), keyId ?? '-', keyVersionId ?? '-', now ?? '-'],
  ]);
  const all = [['', 'column', 'class', 'tenant', 'state', 'values', 'key', 'version', 'now'], ...lines];
  const widths = all[0]!.map((_, at) => Math.max(...all.map((line) => line[at]!.length)));
  return all
    .map((line) =>
      line
        .map((text, at) => text.padEnd(widths[at]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const NO_KEY = { keyVersionId: undefined, keyId: undefined, now: undefined } as const;
const placed = ({ tableName }: EntityMetadata, { databaseName }: ColumnMetadata) => ({ table: tableName, column: databaseName });

interface Counted {
  readonly tenant: string | undefined;
  /** A name, or the key version in hex. */
  readonly state: string;
  readonly values: string;
}

async function counts(source: DataSource, { tenant }: SealingOptions, metadata: EntityMetadata, column: ColumnMetadata, state: string) {
  const rows = source.manager.createQueryBuilder(metadata.target, 'row').withDeleted();
  const found = await rows
    .select(typeof tenant === 'string' ? `row.${tenant}` : 'null', 'tenant')
    .addSelect(of(column, state), 'state')
    .addSelect('count(*)', 'values')
    .groupBy('1')
    .addGroupBy('2')
    .orderBy('1')
    .addOrderBy('2')
    .getRawMany<Omit<Counted, 'tenant'> & { readonly tenant: string | null }>();
  return found.map((row): Counted => ({ ...row, tenant: row.tenant ?? undefined }));
}

const of = (column: ColumnMetadata, expression: string) => expression.replaceAll('value', `row.${column.propertyPath}`);

async function coveredBy(
  source: DataSource,
  options: SealingOptions,
  metadata: EntityMetadata,
  encrypted: EncryptedColumn,
  counted: Counted,
) {
  const { tenant, state } = counted;
  const facts = { ...placed(metadata, encrypted.column), dataClass: encrypted.options.dataClass, tenant, values: Number(counted.values) };
  if (state === 'empty' || state === 'unsealed') return { ...facts, state, ...NO_KEY } as const;
  const sample = await sampleOf(source, options, metadata, encrypted, counted);
  const keyVersionId = versionIdOf(Buffer.from(state, 'hex'));
  return { ...facts, state: 'sealed', keyVersionId, ...(await keyOf(options, encrypted, sample)) } as const;
}

/** One value of these, and whose it is. */
async function sampleOf(
  source: DataSource,
  options: SealingOptions,
  metadata: EntityMetadata,
  { column }: EncryptedColumn,
  { tenant, state }: Counted,
) {
  const rows: SelectQueryBuilder<ObjectLiteral> = source.manager.createQueryBuilder(metadata.target, 'row').withDeleted();
  rows
    .where(`${of(column, STATE)} = :state`, { state })
    .callListeners(false)
    .limit(1);
  if (typeof options.tenant === 'string' && tenant !== undefined) rows.andWhere({ [options.tenant]: tenant });
  const row = await rows.getOne();
  return {
    tenant: row === null ? undefined : tenantOfRow(options.tenant, row),
    value: row === null ? undefined : (column.getEntityValue(row) as unknown),
  };
}

/** Keyward is asked whether the value's data key could be decrypted: nothing is. */
async function keyOf(
  options: SealingOptions,
  encrypted: EncryptedColumn,
  { tenant, value }: { tenant: string | undefined; value: unknown },
) {
  const stored = value instanceof Sealed ? value.stored : undefined;
  if (tenant === undefined || stored === undefined) return { keyId: undefined, now: undefined };
  const { encryptedDataKey, commitment } = parseField(stored);
  const ciphertext = encryptedDataKey ?? (await options.encryptedDataKeys?.get(commitment.toString('hex')));
  if (ciphertext === undefined) return { keyId: undefined, now: undefined };
  try {
    const { keyId } = await options.client.dryRun('decrypt', { tenant, ciphertext, context: contextOf(options, encrypted) });
    return { keyId, now: 'open' } as const;
  } catch (error) {
    if (!(error instanceof KeywardError)) throw error;
    return { keyId: undefined, now: reasonOf(error) };
  }
}
