import type { MigrationInterface, QueryRunner } from 'typeorm';
import { ownedByFunctions, tenantRows } from './row-security.js';
import { appendSignature, trailAppend } from './trail-append.js';

/** Which plane's role may append records of which operation (contract/operations.ts; a test compares them). */
const PLANE_OPERATIONS = {
  keyward_data_plane: ['Encrypt', 'Decrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext'],
  keyward_key_plane: [
    ...['OnboardTenant', 'ListTenants', 'SuspendTenant', 'ResumeTenant', 'ListSuspensions'],
    ...['RegisterService', 'ListServices', 'PutCatalogueEntry', 'SuspendService', 'ResumeService'],
    ...['IssueServiceCredential', 'ListServiceCredentials', 'RevokeServiceCredential'],
    ...['Enrol', 'IssueCredential', 'ListCredentials', 'RevokeCredential'],
    ...['PutIdentityProvider', 'GetIdentityProvider', 'DeleteIdentityProvider'],
    ...['CreateKey', 'DescribeKey', 'ListKeys', 'EnableKey', 'DisableKey', 'CreateAlias'],
    ...['PutPolicy', 'GetPolicy', 'ListPolicyVersions', 'GetPolicyVersion', 'ExportPolicy', 'DiffPolicy', 'RollbackPolicy', 'LintPolicy'],
    ...['PutPolicyDraft', 'GetPolicyDraft', 'DiscardPolicyDraft', 'ValidatePolicyDraft', 'PreviewPolicyDraft', 'PublishPolicyDraft'],
    ...['SimulatePolicy', 'WhoCan', 'Stop', 'Lift', 'ListStops', 'GetStop'],
  ],
  keyward_auditor: ['ListRecords', 'GetCheckpoint', 'GetBundle'],
};

const rows = Object.entries(PLANE_OPERATIONS).flatMap(([role, operations]) => operations.map((op) => `('${role}', '${op}')`));

/** The only way into the trail: fence, order, hash and store a batch of records, of any tenants, in one statement. */
export class TrailAppend implements MigrationInterface {
  readonly name = 'TrailAppend0000000000008';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(String.raw`
      CREATE TABLE keyward.plane_operation (role text NOT NULL, op text NOT NULL, PRIMARY KEY (role, op));
      INSERT INTO keyward.plane_operation VALUES ${rows.join(', ')};
      GRANT SELECT ON keyward.plane_operation TO keyward_functions;
      GRANT INSERT ON keyward.trail_record TO keyward_functions;

      -- A body as jsonb; NULL if it is no JSON that jsonb takes (U+0000, a lone surrogate, 1e400000, too deep).
      CREATE FUNCTION keyward.json_or_null(body bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        RETURN convert_from(body, 'UTF8')::jsonb;
      EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN NULL;
      END $$;

      -- What each limited grant allowed in the last calendar minute and day, UTC, in which it allowed anything.
      -- By the rule's id alone: publishing a policy again must not give anybody a new day. Half-empty pages as of heads.
      CREATE TABLE keyward.grant_use (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        rule_id text NOT NULL,
        minute timestamptz NOT NULL,
        used_minute bigint NOT NULL,
        day date NOT NULL,
        used_day bigint NOT NULL,
        PRIMARY KEY (tenant_id, rule_id)
      ) WITH (fillfactor = 20);
      ${tenantRows('grant_use')}
      GRANT SELECT, INSERT, UPDATE ON keyward.grant_use TO keyward_functions;

      ${trailAppend(undefined, 'keyward_key_plane', 'keyward_data_plane', 'keyward_auditor')}
      ${ownedByFunctions('json_or_null(bytea)')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${appendSignature()}, keyward.json_or_null(bytea);
      REVOKE ALL ON keyward.trail_record FROM keyward_functions;
      DROP TABLE keyward.plane_operation, keyward.grant_use;
    `);
  }
}
