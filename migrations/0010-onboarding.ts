import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const CREDENTIAL = 'text, text, text, bytea, timestamptz, timestamptz, bytea';
const ONBOARD = `onboard_tenant(text, text, text, bytea, timestamptz, text, text, text, ${CREDENTIAL})`;
const BOOTSTRAP = `bootstrap_platform(bytea, timestamptz, text, text, text, ${CREDENTIAL})`;
/** The first credential of a tenant, with a secret that is shown once. */
const INSERT_API_KEY = `INSERT INTO keyward.credential
            (tenant_id, credential_id, principal, role, auth_method, mac, created_at, expires_at, binding_mac)`;
const WRITTEN = 'keyward.tenant, keyward.tenant_head, keyward.log, keyward.credential';

/** The two doors through which a tenant comes into being: its rows are not yet visible to whoever makes them. */
export class Onboarding implements MigrationInterface {
  readonly name = 'Onboarding0000000000010';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      GRANT INSERT ON ${WRITTEN} TO keyward_functions;

      -- For nobody but its callers below. A used id raises unique_violation: tenants are never deleted.
      CREATE FUNCTION keyward.onboard_tenant(
        new_tenant text, display_name text, state text, context_salt bytea, created_at timestamptz, log_id text, origin text, vkey text,
        credential_id text, principal text, role text, mac bytea, issued_at timestamptz, expires_at timestamptz, binding_mac bytea
      ) RETURNS uuid LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        first_epoch uuid;
      BEGIN
        -- An operator gives a one-use enrolment code; only its holder makes the tenant's first admin.
        IF new_tenant = 'platform' OR state <> 'Pending' OR role <> 'enrolment' THEN
          RAISE EXCEPTION 'not a new tenant' USING ERRCODE = 'insufficient_privilege';
        END IF;
        INSERT INTO keyward.tenant VALUES (new_tenant, display_name, state, context_salt, created_at);
        INSERT INTO keyward.tenant_head (tenant_id) VALUES (new_tenant) RETURNING epoch INTO first_epoch;
        INSERT INTO keyward.log VALUES (new_tenant, log_id, origin, vkey);
        ${INSERT_API_KEY}
          VALUES (new_tenant, credential_id, principal, role, 'api-key', mac, issued_at, expires_at, binding_mac);
        RETURN first_epoch;
      END $$;

      -- The platform's first epoch, or NULL if it exists: only the first caller makes the first operator.
      CREATE FUNCTION keyward.bootstrap_platform(
        context_salt bytea, created_at timestamptz, log_id text, origin text, vkey text,
        credential_id text, principal text, role text, mac bytea, issued_at timestamptz, expires_at timestamptz, binding_mac bytea
      ) RETURNS uuid LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        first_epoch uuid;
      BEGIN
        IF role <> 'operator' THEN
          RAISE EXCEPTION 'not an operator' USING ERRCODE = 'insufficient_privilege';
        END IF;
        INSERT INTO keyward.tenant VALUES ('platform', 'The platform', 'Active', context_salt, created_at) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        INSERT INTO keyward.tenant_head (tenant_id) VALUES ('platform') RETURNING epoch INTO first_epoch;
        INSERT INTO keyward.log VALUES ('platform', log_id, origin, vkey);
        ${INSERT_API_KEY}
          VALUES ('platform', credential_id, principal, role, 'api-key', mac, issued_at, expires_at, binding_mac);
        RETURN first_epoch;
      END $$;
      ${ownedByFunctions(ONBOARD, BOOTSTRAP)}
      ${mayExecute(ONBOARD, 'keyward_key_plane')}
      ${mayExecute(BOOTSTRAP, 'keyward_key_plane')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION keyward.${ONBOARD}, keyward.${BOOTSTRAP}; REVOKE INSERT ON ${WRITTEN} FROM keyward_functions`);
  }
}
