import type pg from 'pg';
import { z } from 'zod';
import { ROTATION_PHASES, secretId, tenantId } from '#contract';
import { type ClaimedRotation, type Due, type LabelChange, type RotationMove, type SecretRotations, TrailUnavailable } from '#core';
import { sqlState } from './connection.js';
import { reading } from './database-error.js';
import { calling, IN_BETWEEN, orNone, parsed, time } from './function-answer.js';
import { recordBytes } from './record-bytes.js';

const due = z.array(z.object({ tenant_id: tenantId, secret_id: secretId }));
const claimed = orNone(
  z.object({
    phase: z.enum(ROTATION_PHASES),
    versionId: orNone(z.string()),
    fromVersion: orNone(z.string()),
    failures: z.int(),
    lastError: orNone(z.string()),
    revision: z.int(),
    at: time,
  }),
);

/** The worker's part of rotations of secrets (migration 0120). */
export class DatabaseSecretRotations implements SecretRotations {
  constructor(private readonly pool: pg.Pool) {}

  async due(of?: Due): Promise<readonly Due[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.due_secret_rotations($1, $2)', [of?.tenant, of?.subject]));
    return parsed('due_secret_rotations', due, rows).map(({ tenant_id, secret_id }) => ({ tenant: tenant_id, subject: secret_id }));
  }

  async claim({ tenant, subject }: Due, leaseMs: number): Promise<ClaimedRotation | undefined> {
    const values = [tenant, subject, `${leaseMs} milliseconds`];
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>(calling('claim_secret_rotation', values), values));
    const row = parsed('claim_secret_rotation', claimed, rows[0]?.answer ?? null);
    return row && { tenant, secretId: parsed('claim_secret_rotation', secretId, subject), ...row };
  }

  async release({ tenant, secretId: id, revision }: ClaimedRotation): Promise<void> {
    const values = [tenant, id, revision];
    await reading(() => this.pool.query(calling('release_secret_rotation', values), values));
  }

  async advance({ claimed: { tenant, secretId: id, revision }, to, waitMs, labels, recorded }: RotationMove): Promise<boolean> {
    const step = JSON.stringify({ ...to, wait: `${waitMs} milliseconds` });
    const { body, epochs } = recorded ?? {};
    const values = [
      ...[tenant, id, revision, step, labels === undefined ? null : written(labels)],
      ...[body === undefined ? null : recordBytes(body), epochs?.tenant, epochs?.platform],
    ];
    try {
      const { rows } = await this.pool.query<{ answer: unknown }>(calling('advance_secret_rotation', values), values);
      return parsed('advance_secret_rotation', z.boolean(), rows[0]?.answer);
    } catch (error) {
      if (IN_BETWEEN.has(sqlState(error) ?? '')) return false;
      throw new TrailUnavailable(`a rotation's step failed: ${sqlState(error) ?? 'outcome unknown'}`);
    }
  }
}

function written({ revision, labels, labelsMac, added, dropped }: LabelChange): string {
  const version = added && { ...added, edk: hex(added.edk), sealed: hex(added.sealed) };
  return JSON.stringify({ revision, labels, labelsMac: hex(labelsMac), dropped, added: version });
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
