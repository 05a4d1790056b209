import type { EntityMetadata, ObjectLiteral } from 'typeorm';
import { invalid } from './columns.js';

/** Whose a row is: the name of its property, or how to tell from the row. */
export type TenantOf = string | ((row: ObjectLiteral) => string | undefined);

export function tenantOfRow(of: TenantOf, row: ObjectLiteral): string | undefined {
  const tenant: unknown = typeof of === 'string' ? row[of] : of(row);
  return typeof tenant === 'string' && tenant !== '' ? tenant : undefined;
}

/** Its primary key as text: one column's value as it is, several as a JSON array. Undefined where a part is missing. */
export function rowId(metadata: EntityMetadata, row: ObjectLiteral): string | undefined {
  const parts = metadata.primaryColumns.map((column): unknown => column.getEntityValue(row));
  if (parts.length === 0 || parts.some((part) => part === undefined || part === null)) return undefined;
  const texts = parts.map((part) => (part instanceof Date ? part.toISOString() : String(part)));
  return texts.length === 1 ? texts[0] : JSON.stringify(texts);
}

/** A tenant's row: what its values are bound to. */
export interface Row {
  readonly tenant: string;
  readonly id: string;
}

/** @throws InvalidCall for a row without tenant or id, or whose tenant is not the one that is stored */
export function rowOf(of: TenantOf, metadata: EntityMetadata, row: ObjectLiteral, stored?: ObjectLiteral): Row {
  const before = stored && tenantOfRow(of, stored);
  const tenant = tenantOfRow(of, row) ?? before;
  const id = rowId(metadata, row);
  if (tenant === undefined) throw invalid(metadata.name, 'has encrypted values, and this row names no tenant.');
  if (before !== undefined && before !== tenant) throw invalid(metadata.name, 'has encrypted values: a row cannot go to another tenant.');
  if (id === undefined)
    throw invalid(
      metadata.name,
      'has encrypted values, which are bound to the primary key: set it before you save, for example to randomUUID().',
    );
  return { tenant, id };
}
