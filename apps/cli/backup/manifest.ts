import { z } from 'zod';
import { type EncryptionContext, tenantId } from '#contract';
import { UsageError } from '../exit-codes.js';
import type { ReadItem } from './items.js';

export const ARCHIVE_FORMAT = 'keyward.backup/1';
export type ArchiveKind = 'database' | 'custody';

/** Bound to the archive, and readable without a key: which of the two it is, of which run, and when its instant was. */
export interface ArchiveName {
  readonly kind: ArchiveKind;
  readonly pair: string;
  readonly taken: string;
}
export const contextOf = ({ kind, pair, taken }: ArchiveName): EncryptionContext => ({ archive: ARCHIVE_FORMAT, kind, pair, taken });

const whole = z.int().min(0);
/** What of the HSM each tenant's rows need, or had. */
const objects = z.array(z.object({ tenant: tenantId, roots: z.array(whole), endedLogKeys: whole }));

/** The first items of the two archives. */
export const databaseManifest = z.object({
  objects,
  /** Each tenant's log, and the platform's own; archives from before that have none. */
  logs: z.array(z.object({ tenant: tenantId, records: whole })).optional(),
  migrations: z.array(z.string()),
  tables: z.array(z.object({ table: z.string(), columns: z.array(z.string()) })),
});
export type DatabaseManifest = z.infer<typeof databaseManifest>;
export const custodyManifest = z.object({ objects, hasToken: z.boolean() });
export type CustodyManifest = z.infer<typeof custodyManifest>;

/** Items after the first, and the last. */
export const tableHead = z.strictObject({ table: z.string() });
export const tablesEnd = z.strictObject({ rows: z.record(z.string(), whole) });
const segment = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;
export const fileHead = z.strictObject({
  // It becomes a path on this host: whoever has a public key can make an archive.
  file: z.string().refine((path) => path.split('/').every((part) => segment.test(part)), 'must be a path below the folder'),
});
export const filesEnd = z.strictObject({ files: whole });

/** @throws UsageError for an archive of the other kind, or of something else */
export function archiveName(context: EncryptionContext, kind: ArchiveKind, file: string): ArchiveName {
  const { archive, kind: is, pair = '', taken = '' } = context;
  if (archive !== ARCHIVE_FORMAT) throw new UsageError(`${file} is no archive of \`keyward backup\`.`);
  if (is !== kind)
    throw new UsageError(`${file} is the archive of the ${is === 'custody' ? 'custody' : 'database'}: --${kind} needs the other one.`);
  return { kind, pair, taken };
}

/** @throws UsageError for what this version has not written */
export function headOf<Head>(schema: z.ZodType<Head>, { head }: ReadItem): Head {
  const parsed = schema.safeParse(head);
  if (!parsed.success) throw new UsageError('The archive is of another version of Keyward.');
  return parsed.data;
}
