import type { MigrationInterface, QueryRunner } from 'typeorm';
import { recordedUses } from './0013-use-reads.js';
import { replaced } from './row-security.js';

/** Calls about a secret; those that its own grants refused name no key. */
const OF_SECRETS = `ARRAY['GetSecretValue', 'PutSecretValue', 'DescribeSecret']`;

/** A preview of a policy replays what was done with secrets, too. */
export class UsesOfSecrets implements MigrationInterface {
  readonly name = 'UsesOfSecrets0000000000182';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      replaced(
        recordedUses(
          `, 'secret', d.doc -> 'secret'`,
          // Admins and the worker are under no grant.
          `(r.key_id IS NOT NULL OR r.op = ANY (${OF_SECRETS})) AND (r.op <> ALL (${OF_SECRETS}) OR d.doc #>> '{actor,type}' = 'service')`,
        ),
      ),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(replaced(recordedUses()));
  }
}
