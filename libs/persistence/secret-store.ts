import type pg from 'pg';
import { z } from 'zod';
import {
  keyId,
  keyVersionId,
  ROTATION_PHASES,
  SECRET_ROTATION_STATES,
  secretId,
  secretName,
  secretRotationPolicy,
  secretType,
  type TenantId,
} from '#contract';
import type { SealedVersion, SecretStore, StoredSecret, WhichVersion } from '#core';
import { reading } from './database-error.js';
import { calling, orNone, parsed, time } from './function-answer.js';

const bytes = z.hex().transform((text) => Buffer.from(text, 'hex'));
const version = { versionId: z.string(), format: z.enum(['text', 'binary']), createdAt: time, keyVersionId };

/** What secret_of answers (migration 0110). A row that does not parse is no secret. */
export const secretRow = z.object({
  secretId,
  name: secretName,
  type: secretType,
  keyId,
  description: z.string(),
  tags: z.record(z.string(), z.string()),
  createdAt: time,
  deletionAt: orNone(time),
  rotation: orNone(secretRotationPolicy),
  rotationState: z.enum(SECRET_ROTATION_STATES),
  nextRotationAt: orNone(time),
  mac: bytes,
  rotating: z
    .object({ phase: z.enum(ROTATION_PHASES), failures: z.int(), lastError: orNone(z.string()), nextStepAt: orNone(time) })
    .nullish()
    .transform((value) => value ?? undefined),
  connects: z.boolean().optional(),
  labels: z.record(z.string(), z.string()),
  revision: z.int(),
  labelsMac: bytes,
});
const answer = z.object({
  epoch: z.uuid(),
  secret: orNone(secretRow.extend({ versions: z.array(z.object(version)) })),
  version: orNone(z.object({ ...version, edk: bytes, sealed: bytes })),
});

/** Secrets for decisions, on every plane: one function, one statement. */
export class DatabaseSecrets implements SecretStore {
  constructor(private readonly pool: pg.Pool) {}

  async secret(tenant: TenantId, reference: string, which?: WhichVersion) {
    const [versionId, label] = which === undefined ? [null, null] : 'label' in which ? [null, which.label] : [which.versionId, null];
    const values = [tenant, reference, versionId, label];
    const text = calling('secret_of', values);
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>({ name: 'secret_of', text, values }));
    const found: { epoch: string; secret: StoredSecret | undefined; version: SealedVersion | undefined } = parsed(
      'secret_of',
      answer,
      rows[0]?.answer ?? { epoch: NOBODY, secret: null, version: null },
    );
    return found;
  }
}

/** Of a tenant that does not exist: no epoch is this. */
const NOBODY = '00000000-0000-4000-8000-000000000000';
