import { timingSafeEqual } from 'node:crypto';
import type { SecretFormat } from '#contract';
import { secretLabelsRow } from '../bound-rows.js';
import { frameCiphertext, parseCiphertext } from '../ciphertext.js';
import type { Permit } from '../permit.js';
import type { LabelOperation, SecretKeys, SecretVersionName } from '../ports/custody.js';
import type { LabelChange, Labels, SealedVersion, StoredSecret } from '../ports/secrets.js';
import { openValue, sealValue } from '../secret-sealing.js';
import type { UsableVersion } from '../snapshot.js';

/** A value to be sealed: the bytes are the caller's. */
export interface NewValue extends SecretVersionName {
  readonly format: SecretFormat;
  readonly value: Uint8Array;
}

/** Seals a value under a new data key of this key version, which nobody has afterwards. */
export async function sealVersion(
  custody: Pick<SecretKeys, 'generateSecretKey'>,
  permit: Permit<'CreateSecret' | 'PutSecretValue'>,
  version: UsableVersion,
  { value, ...of }: NewValue,
  now: number,
): Promise<SealedVersion> {
  const { plaintext, iv, ciphertext } = await custody.generateSecretKey(permit, version, of);
  try {
    return {
      ...{ versionId: of.versionId, format: of.format, createdAt: new Date(now), keyVersionId: version.versionId },
      edk: frameCiphertext(version.headers.dataKey, iv, ciphertext),
      sealed: sealValue(plaintext, version.tenant, of, of.format, value),
    };
  } finally {
    plaintext.fill(0);
  }
}

/** A secret's labels as they are to be, bound, of the revision after the one that was read. */
export async function relabelled(
  custody: Pick<SecretKeys, 'bindSecretLabels'>,
  permit: Permit<LabelOperation>,
  { secretId, revision }: Pick<StoredSecret, 'secretId' | 'revision'>,
  labels: Labels,
): Promise<LabelChange> {
  const { digest } = secretLabelsRow(permit.tenant, { secretId, revision: revision + 1, labels });
  return { secretId, revision, labels, labelsMac: await custody.bindSecretLabels(permit, secretId, digest) };
}

/** The value, for the caller to wipe. @throws DecryptFailed for anything but this version of this secret */
export async function openVersion(
  custody: Pick<SecretKeys, 'openSecretKey'>,
  permit: Permit<'GetSecretValue' | 'PutSecretValue'>,
  keyVersion: UsableVersion,
  of: SecretVersionName,
  { edk, format, sealed }: Pick<SealedVersion, 'edk' | 'format' | 'sealed'>,
): Promise<Uint8Array> {
  const { iv, sealed: ciphertext } = parseCiphertext(edk);
  const key = await custody.openSecretKey(permit, keyVersion, of, { iv, ciphertext });
  try {
    return openValue(key, keyVersion.tenant, of, format, sealed);
  } finally {
    key.fill(0);
  }
}

/** Is this the same value? Told in constant time, and what was opened is wiped. */
export function isSame(opened: Uint8Array, value: Uint8Array): boolean {
  try {
    return opened.length === value.length && timingSafeEqual(opened, value);
  } finally {
    opened.fill(0);
  }
}
