import type { MigrationInterface, QueryRunner } from 'typeorm';
import { commitSignature } from './0009-trail-commit.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_OWN_RECORD, mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const OPERATIONS = ['SetQuota', 'DescribeTenantQuotas', 'DescribeQuotas'];
const USED = 'quota_used(text, text)';
const TAKE = 'take_quota(text, bigint)';
const OF = 'quotas_of(text)';
const RATES = 'rate_quotas()';
const TOLD = commitSignature(true).replace('trail_commit(', 'trail_commit_told(').replace(')', ', text, bytea)');

/** What each counted quota counts of a tenant (contract/quotas.ts). */
const COUNTED = {
  keys: `keyward.cmk x WHERE x.tenant_id = of_tenant AND x.state <> 'Destroyed'`,
  aliases: 'keyward.alias x WHERE x.tenant_id = of_tenant',
  secrets: 'keyward.secret x WHERE x.tenant_id = of_tenant',
  sinks: 'keyward.sink x WHERE x.tenant_id = of_tenant',
  credentials: `keyward.credential x WHERE x.tenant_id = of_tenant AND x.role IN ('admin', 'auditor') AND x.revoked_at IS NULL AND x.expires_at > clock_timestamp()`,
};
const NAMES = Object.keys(COUNTED);

/** What a tenant may have, as the operator says it; and how a change of the platform's is told in the log of the tenant that it concerns. */
export class Quotas implements MigrationInterface {
  readonly name = 'Quotas0000000000190';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', OPERATIONS)}

      -- Of the platform, so that no tenant's own transaction writes it. No row: the standard one. No rule: it takes no part in a decision,
      -- so nothing binds it.
      CREATE TABLE keyward.tenant_quota (
        tenant_id text NOT NULL REFERENCES keyward.tenant CHECK (tenant_id = 'platform'),
        limited_tenant text NOT NULL REFERENCES keyward.tenant CHECK (limited_tenant <> 'platform'),
        quota text NOT NULL,
        most bigint NOT NULL CHECK (most > 0),
        PRIMARY KEY (tenant_id, limited_tenant, quota)
      );
      ${tenantRows('tenant_quota')}
      GRANT SELECT, INSERT, DELETE, UPDATE (most) ON keyward.tenant_quota TO keyward_key_plane;
      GRANT SELECT ON keyward.tenant_quota TO keyward_functions;

      CREATE FUNCTION keyward.quota_used(of_tenant text, of_quota text) RETURNS bigint
      LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        CASE of_quota${NAMES.map(
          (name) => `
          WHEN '${name}' THEN RETURN (SELECT count(*) FROM ${COUNTED[name as keyof typeof COUNTED]});`,
        ).join('')}
        END CASE;
      END $$;

      -- Before one more is made, by whoever's transaction it is: others of the tenant wait until this one has ended, so that two cannot both
      -- be the last. Raises KW005 with the limit.
      CREATE FUNCTION keyward.take_quota(of_quota text, standard bigint) RETURNS void
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        of_tenant text := current_setting('app.tenant_id');
        limited bigint;
      BEGIN
        PERFORM pg_advisory_xact_lock(7711, hashtext(of_tenant));
        -- Later statements than the lock.
        limited := coalesce((SELECT q.most FROM keyward.tenant_quota q WHERE q.limited_tenant = of_tenant AND q.quota = of_quota), standard);
        IF of_tenant <> 'platform' AND keyward.quota_used(of_tenant, of_quota) >= limited THEN
          RAISE EXCEPTION 'quota' USING ERRCODE = 'KW005', DETAIL = limited::text;
        END IF;
      END $$;

      CREATE FUNCTION keyward.quotas_of(of_tenant text) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object(
          'limits', (SELECT coalesce(json_object_agg(q.quota, q.most), '{}') FROM keyward.tenant_quota q WHERE q.limited_tenant = of_tenant),
          'used', json_build_object(${NAMES.map((name) => `'${name}', keyward.quota_used(of_tenant, '${name}')`).join(', ')}))
      $$;

      -- Of all tenants that have any.
      CREATE FUNCTION keyward.rate_quotas() RETURNS TABLE (tenant_id text, limits json)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT q.limited_tenant, json_object_agg(q.quota, q.most) FROM keyward.tenant_quota q WHERE q.quota LIKE '%Rate' GROUP BY 1
      $$;

      -- A change of the platform's, with a second record in the log of the tenant that it concerns, which rests on no rule of the tenant's.
      CREATE FUNCTION keyward.trail_commit_told(
        body bytea, of_tenant text, epoch uuid, platform_epoch uuid, valid_until timestamptz, credential_tenant text, credential text,
        field_names text[], abouts text[], disclosures text[], told_tenant text, told_body bytea
      ) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        own bigint;
      BEGIN
        IF of_tenant <> 'platform' THEN
          RAISE EXCEPTION 'not the platform' USING ERRCODE = 'insufficient_privilege';
        END IF;
        own := keyward.trail_commit(body, of_tenant, epoch, platform_epoch, valid_until, credential_tenant, credential, field_names, abouts, disclosures);
        DECLARE
          of_tenant text := told_tenant;
          body bytea := told_body;
          answer bigint;
        BEGIN${APPEND_OWN_RECORD}
        END;
        RETURN own;
      END $$;
      ${ownedByFunctions(USED, TAKE, OF, RATES, TOLD)}
      ${[TAKE, OF, TOLD].map((signature) => mayExecute(signature, 'keyward_key_plane')).join('')}
      ${mayExecute(RATES, 'keyward_key_plane', 'keyward_data_plane', 'keyward_auditor')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION ${[TOLD, RATES, OF, TAKE, USED].map((signature) => `keyward.${signature}`).join(', ')};
      DROP TABLE keyward.tenant_quota;
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
