/**
 * Row-level security of one table with `tenant_id`, forced on its owner too. Without `app.tenant_id` nobody sees a row.
 * keyward_functions works across tenants; it owns a handful of functions and can do only what they do.
 */
export const tenantRows = (table: string): string => `
  ALTER TABLE keyward.${table} ENABLE ROW LEVEL SECURITY;
  ALTER TABLE keyward.${table} FORCE ROW LEVEL SECURITY;
  CREATE POLICY tenant_rows ON keyward.${table}
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
  CREATE POLICY function_rows ON keyward.${table} TO keyward_functions USING (true) WITH CHECK (true);
`;

/**
 * Hands functions to keyward_functions and closes them to PUBLIC, who may execute every new function.
 * The right to create is lent for this transaction only.
 */
export const ownedByFunctions = (...signatures: string[]): string => `
  GRANT CREATE ON SCHEMA keyward TO keyward_functions;
  ${signatures
    .map(
      (signature) => `
    REVOKE ALL ON FUNCTION keyward.${signature} FROM PUBLIC;
    ALTER FUNCTION keyward.${signature} OWNER TO keyward_functions;`,
    )
    .join('')}
  REVOKE CREATE ON SCHEMA keyward FROM keyward_functions;
`;

/** keyward_functions grants: the owner of a function decides who may call it. */
export const mayExecute = (signature: string, ...roles: string[]): string => `
  SET LOCAL ROLE keyward_functions;
  GRANT EXECUTE ON FUNCTION keyward.${signature} TO ${roles.join(', ')};
  SET LOCAL ROLE keyward_owner;
`;

/**
 * The end of a plpgsql function that changes what no rule may change meanwhile, and records that: `body` is appended under the epochs of now
 * to the log of `of_tenant`, its place is in `answer`. Raises KW001 when a rule came in between.
 */
export const APPEND_OWN_RECORD = `
        SELECT (keyward.trail_append(body, ARRAY[length(body)], ARRAY[of_tenant], ARRAY[h.epoch], ARRAY[p.epoch], ARRAY[NULL::timestamptz]))[1]
          INTO answer FROM keyward.tenant_head h, keyward.tenant_head p WHERE h.tenant_id = of_tenant AND p.tenant_id = 'platform';
        IF (answer >= 0) IS NOT TRUE THEN
          RAISE EXCEPTION 'not recorded: %', answer USING ERRCODE = 'KW001';
        END IF;`;

/** The same, to the log of `tenant` under the epochs of a decision. */
export const appendUnder = (tenant: string): string => `
        answer := (keyward.trail_append(body, ARRAY[length(body)], ARRAY[${tenant}], ARRAY[epoch], ARRAY[platform_epoch], ARRAY[NULL::timestamptz]))[1];
        IF (answer >= 0) IS NOT TRUE THEN
          RAISE EXCEPTION 'not recorded: %', answer USING ERRCODE = 'KW001';
        END IF;`;

/** The same of `many` records, `bodies` with their `lengths`, to the log of `wanted`; their places are in `answers`. */
export const APPEND_MANY = `
        answers := keyward.trail_append(bodies, lengths, array_fill(wanted, ARRAY[many]), array_fill(epoch, ARRAY[many]),
          array_fill(platform_epoch, ARRAY[many]), array_fill(valid_until, ARRAY[many]));
        IF (0 <= ALL (answers)) IS NOT TRUE THEN
          RAISE EXCEPTION 'not recorded: %', answers USING ERRCODE = 'KW001';
        END IF;`;

/** For functions that are replaced: only their owner may, who may make things in the schema for these statements only. */
export const asFunctions = (sql: string): string => `
  GRANT CREATE ON SCHEMA keyward TO keyward_functions;
  SET LOCAL ROLE keyward_functions;
  ${sql}
  SET LOCAL ROLE keyward_owner;
  REVOKE CREATE ON SCHEMA keyward FROM keyward_functions;`;

/** A function that is there already, as it is from now on: who may execute it, still may. `created`: the statement that would create it. */
export const replaced = (created: string): string => asFunctions(created.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION'));

/** A trigger is made by whoever may execute its function: the right is lent for these statements only. */
export const withTriggerFunction = (signature: string, statements: string): string => `
  SET LOCAL ROLE keyward_functions;
  GRANT EXECUTE ON FUNCTION keyward.${signature} TO keyward_owner;
  SET LOCAL ROLE keyward_owner;
  ${statements}
  SET LOCAL ROLE keyward_functions;
  REVOKE EXECUTE ON FUNCTION keyward.${signature} FROM keyward_owner;
  SET LOCAL ROLE keyward_owner;
`;
