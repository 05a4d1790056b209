import type { MigrationInterface, QueryRunner } from 'typeorm';
import { type AlsoRead, keyOf } from './key-of.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';

const OPERATIONS = [
  ...['UpdateKeyDescription', 'TagKey', 'UntagKey', 'SetDeletionProtection', 'ScheduleKeyDeletion', 'CancelKeyDeletion'],
  ...['UpdateAlias', 'DeleteAlias', 'ListAliases'],
];

/** Read of a key since this migration. */
export const KEY_LIFE = `
        'deletionProtection', k.deletion_protection,
        'deletion', CASE WHEN k.deletion_at IS NOT NULL THEN json_build_object('at', k.deletion_at, 'stateBefore', k.state_before) END,`;
const WITHOUT: AlsoRead = { key: '', version: '' };

/** What a key's admins may change of it: its description, tags and aliases, and the wait for its end. */
export class KeyLife implements MigrationInterface {
  readonly name = 'KeyLife0000000000030';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE keyward.cmk
        ADD deletion_protection boolean NOT NULL DEFAULT false,
        ADD deletion_at timestamptz,
        ADD state_before text CHECK (state_before IN ('PendingImport', 'Enabled', 'Disabled')),
        ADD CONSTRAINT waiting CHECK ((state = 'PendingDeletion') = (deletion_at IS NOT NULL) AND (deletion_at IS NULL) = (state_before IS NULL));
      GRANT UPDATE (description, tags, deletion_protection, deletion_at, state_before) ON keyward.cmk TO keyward_key_plane;
      GRANT DELETE, UPDATE (key_id) ON keyward.alias TO keyward_key_plane;
      ${mayAppend('keyward_key_plane', OPERATIONS)}
      ${keyOf({ key: KEY_LIFE, version: '' })}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${keyOf(WITHOUT)}
      ${mayNotAppend(OPERATIONS)}
      REVOKE DELETE, UPDATE (key_id) ON keyward.alias FROM keyward_key_plane;
      REVOKE UPDATE (description, tags) ON keyward.cmk FROM keyward_key_plane;
      ALTER TABLE keyward.cmk DROP deletion_protection, DROP deletion_at, DROP state_before;
    `);
  }
}
