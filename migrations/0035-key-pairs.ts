import type { MigrationInterface, QueryRunner } from 'typeorm';
import { KEY_LIFE } from './0030-key-life.js';
import { keyOf } from './key-of.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';

const USES = ['Sign', 'Verify', 'GetPublicKey'];
const READS = ['DescribePublicKey'];

/** Read of a version since this migration. */
export const PUBLIC_KEY = `
            'publicKey', encode(v.public_key, 'hex'),`;

/** Key pairs: a version has a public half, under the same MAC. */
export class KeyPairs implements MigrationInterface {
  readonly name = 'KeyPairs0000000000035';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE keyward.key_version ADD COLUMN public_key bytea;
      ${mayAppend('keyward_data_plane', USES)}
      ${mayAppend('keyward_key_plane', READS)}
      ${keyOf({ key: KEY_LIFE, version: PUBLIC_KEY })}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${keyOf({ key: KEY_LIFE, version: '' })}
      ${mayNotAppend([...USES, ...READS])}
      ALTER TABLE keyward.key_version DROP COLUMN public_key;
    `);
  }
}
