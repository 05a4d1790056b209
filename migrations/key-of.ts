import { mayExecute, ownedByFunctions } from './row-security.js';

const SIGNATURE = 'key_of(text, text, text)';

/** What is read of a key and of each of its versions beside what migration 0007 reads, as arguments of json_build_object. */
export interface AlsoRead {
  readonly key: string;
  readonly version: string;
}

/** Replaces key_of, which is ONE statement, as all that decisions are read by (0007). */
export const keyOf = ({ key, version }: AlsoRead): string => `
  DROP FUNCTION keyward.${SIGNATURE};
  CREATE FUNCTION keyward.key_of(wanted text, reference text, of_version text) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('epoch', h.epoch, 'key', (
      SELECT json_build_object(
        'keyId', k.key_id,
        'state', k.state,
        'description', k.description,
        'createdAt', k.created_at,
        'tags', k.tags,
        'primaryVersion', k.primary_version,
        'namesMac', encode(k.names_mac, 'hex'),${key}
        'aliases', (
          SELECT coalesce(json_agg(a.alias ORDER BY a.alias), '[]') FROM keyward.alias a WHERE a.tenant_id = wanted AND a.key_id = k.key_id),
        'versions', (
          SELECT coalesce(json_agg(json_build_object(
            'versionId', v.version_id, 'spec', v.spec, 'usage', v.usage, 'origin', v.origin, 'protectionLevel', v.protection_level,${version}
            'logId', v.log_id, 'blob', encode(v.blob, 'hex'), 'mac', encode(v.mac, 'hex')) ORDER BY v.version_id), '[]')
            FROM keyward.key_version v WHERE v.tenant_id = wanted AND v.key_id = k.key_id))
      FROM keyward.cmk k
      WHERE k.tenant_id = wanted
        AND k.key_id = CASE
          WHEN of_version IS NOT NULL THEN (SELECT v.key_id FROM keyward.key_version v WHERE v.tenant_id = wanted AND v.version_id = of_version)
          WHEN reference LIKE 'alias/%' THEN (SELECT a.key_id FROM keyward.alias a WHERE a.tenant_id = wanted AND a.alias = reference)
          ELSE reference END))
    FROM keyward.tenant_head h WHERE h.tenant_id = wanted
  $$;
  ${ownedByFunctions(SIGNATURE)}
  ${mayExecute(SIGNATURE, 'keyward_key_plane', 'keyward_data_plane')}`;
