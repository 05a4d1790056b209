import type { MigrationInterface, QueryRunner } from 'typeorm';

const PLANES = 'keyward_key_plane, keyward_data_plane, keyward_auditor, keyward_worker';

/** Rights on tables, row-level security on top. The data plane and the worker have none: functions only. */
const RIGHTS = [
  ['keyward_key_plane', 'SELECT, UPDATE (state)', 'tenant'],
  ['keyward_key_plane', 'SELECT, INSERT, UPDATE (revoked_at)', 'credential'],
  [
    'keyward_key_plane',
    'SELECT, INSERT, DELETE, UPDATE (issuer, audience, jwks_uri, algorithms, version, changed_by, changed_at, mac)',
    'identity_provider',
  ],
  ['keyward_key_plane', 'SELECT, INSERT, UPDATE (operations, suspended)', 'service'],
  ['keyward_key_plane', 'SELECT, INSERT, DELETE, UPDATE (reason, suspended_by, suspended_at)', 'tenant_suspension'],
  ['keyward_key_plane', 'SELECT, INSERT, UPDATE (state, names_mac)', 'cmk'],
  ['keyward_key_plane', 'SELECT, INSERT', 'key_version'],
  ['keyward_key_plane', 'SELECT, INSERT', 'alias'],
  ['keyward_key_plane', 'SELECT, INSERT', 'policy_version'],
  ['keyward_key_plane', 'SELECT, INSERT, DELETE, UPDATE (digest, author, saved_at, document)', 'policy_draft'],
  ['keyward_key_plane', 'SELECT, INSERT, UPDATE (mac, lifted_at, lifted_by, lift_number, lift_mac)', 'stop'],
  ['keyward_auditor', 'SELECT', 'trail_record'],
  ['keyward_auditor', 'SELECT', 'trail_checkpoint'],
  ['keyward_auditor', 'SELECT', 'log'],
  [PLANES, 'SELECT', 'schema_migration'],
] as const;

export class PlaneRights implements MigrationInterface {
  readonly name = 'PlaneRights0000000000012';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`GRANT USAGE ON SCHEMA keyward TO ${PLANES}`);
    for (const [role, rights, table] of RIGHTS) await runner.query(`GRANT ${rights} ON keyward.${table} TO ${role}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const [role, , table] of RIGHTS) await runner.query(`REVOKE ALL ON keyward.${table} FROM ${role}`);
    await runner.query(`REVOKE USAGE ON SCHEMA keyward FROM ${PLANES}`);
  }
}
