import type { SecretUse } from '#contract';
import { decideKeyless } from '../decide-keyless.js';
import { decideSecret, decideSecretKey, refusalOfPut, type SecretKeyVerdict, type SecretVerdict } from '../decide-secret.js';
import { asFailure, KeywardError } from '../errors.js';
import { newSecretVersionId } from '../identifiers.js';
import type { Declined, Done, Handlers, Step } from '../handler.js';
import type { Custody, SecretKeys } from '../ports/custody.js';
import type { GrantPolicy } from '../ports/grants.js';
import type { SealedVersion, StoredSecret } from '../ports/secrets.js';
import { randomPassword } from '../random-password.js';
import { type SnapshotKey, StaleSnapshot, type UsableVersion } from '../snapshot.js';
import { labelsAfterPut, labelsOf, versionToDrop } from '../secret-labels.js';
import { secretContext } from '../secret-sealing.js';
import { askedIn } from './asked-in.js';
import { CURRENT_VERSION, describeSecret, findSecret, mustBeKept, type SecretSource } from './own-secret.js';
import { isSame, openVersion, relabelled, sealVersion } from './secret-values.js';

export interface SecretUseParts extends SecretSource {
  readonly custody: SecretKeys & Pick<Custody, 'generateRandom'>;
  readonly grants: GrantPolicy;
}

type ValueStep = Step<'GetSecretValue'> | Step<'PutSecretValue'>;
type Allowed = SecretVerdict & { readonly key: SnapshotKey; readonly version: UsableVersion };

/** What services do with secrets that were granted to them, and admins with their own. */
export function secretUseHandlers(parts: SecretUseParts): Handlers<SecretUse> {
  const { custody, grants } = parts;
  return {
    /** Two decisions, of the secret and of its key, and one record of both. */
    GetSecretValue: async (step) => {
      const { secretId: reference, versionId, label } = step.input;
      const which = versionId !== undefined ? { versionId } : label !== undefined ? { label } : CURRENT_VERSION;
      const found = await findSecret(parts, step, reference, which);
      const asking = { ...step, justification: step.input.justification };
      const wanted = found?.version?.versionId ?? versionId ?? '';
      const context = found === undefined ? {} : secretContext({ secretId: found.secret.secretId, versionId: wanted });
      const ofSecret = decideSecret(asking, found?.secret, context);
      if (ofSecret.error !== undefined || found === undefined) return declined(step, ofSecret);
      const { secret, version } = found;
      return await working(step, ofSecret, secret, async () => {
        if (version === undefined) throw new KeywardError('not-found', 'It has no such version.', { reason: 'unknown-version' });
        const of = { secretId: secret.secretId, versionId: version.versionId };
        const wish = { use: 'Decrypt' as const, keyId: secret.keyId, versionId: version.keyVersionId, context };
        const verdict = await decideSecretKey(grants, asking, versioned(ofSecret, version), wish);
        if (!isAllowed(verdict)) return declined(step, verdict);
        return await working(step, verdict, secret, async () => {
          const value = await openVersion(custody, step.permit({ versionId: version.keyVersionId }), verdict.version, of, version);
          const { versionId: id, createdAt, format } = version;
          return {
            answer: { ...of, name: secret.name, labels: labelsOf(secret.labels, id), createdAt: createdAt.toISOString(), format, value },
            ...{ secret: value, details: told(step, verdict), validUntil: verdict.validUntil, charges: verdict.charges },
          };
        });
      });
    },

    PutSecretValue: async (step) => {
      const { input, now } = step;
      const versionId = input.versionId ?? newSecretVersionId(now);
      const found = await findSecret(parts, step, input.secretId, { versionId });
      const asking = { ...step, justification: input.justification };
      const context = found === undefined ? {} : secretContext({ secretId: found.secret.secretId, versionId });
      const ofSecret = decideSecret(asking, found?.secret, context);
      if (ofSecret.error !== undefined || found === undefined) return declined(step, ofSecret);
      const { secret, version } = found;
      return await working(step, ofSecret, secret, async () => {
        const wish = { use: 'GenerateDataKey' as const, keyId: secret.keyId, versionId: undefined, context };
        const verdict = await decideSecretKey(grants, asking, versioned(ofSecret, { versionId }), wish);
        if (!isAllowed(verdict)) return declined(step, verdict);
        const reason = refusalOfPut(secret, step.principal.role === 'service', verdict.charges);
        if (reason !== undefined) return declined(step, { ...verdict, error: new KeywardError('not-granted', '', { reason }) });
        return await working(step, verdict, secret, () =>
          version === undefined ? put(parts, step, secret, versionId, verdict) : putAgain(parts, step, secret, version, verdict),
        );
      });
    },

    DescribeSecret: async (step) => {
      const found = await findSecret(parts, step, step.input.secretId);
      const verdict = decideSecret({ ...step, justification: undefined }, found?.secret, {});
      if (verdict.error !== undefined || found === undefined) return declined(step, verdict);
      return { answer: describeSecret(found.secret), details: verdict.details, validUntil: verdict.validUntil, charges: verdict.charges };
    },

    GetRandomPassword: async (step) => {
      const { operation, principal, call, input, snapshot, now, permit } = step;
      const verdict: SecretVerdict =
        principal.role === 'service'
          ? decideKeyless(operation, principal, call, input.justification, snapshot, now)
          : { details: {}, validUntil: undefined, error: undefined, charges: [] };
      if (verdict.error !== undefined) return declined(step, verdict);
      const { validUntil, charges } = verdict;
      try {
        const password = await randomPassword(input, (bytes) => custody.generateRandom(permit(), bytes));
        return { answer: { password }, secret: password, details: told(step, verdict), validUntil, charges };
      } catch (error) {
        return { error: asFailure(error), details: told(step, verdict), validUntil };
      }
    },
  };
}

async function put(
  { custody }: SecretUseParts,
  step: Step<'PutSecretValue'>,
  secret: StoredSecret,
  versionId: string,
  verdict: Allowed,
): Promise<Done<'PutSecretValue'>> {
  const { input, now, permit } = step;
  const { secretId, name } = secret;
  const labels = labelsAfterPut(secret.labels, versionId, input.labels);
  const dropped = versionToDrop(secret.versions, labels);
  const value = { secretId, versionId, format: input.format, value: input.value };
  const added = await sealVersion(custody, permit({ versionId: verdict.version.versionId }), verdict.version, value, now);
  const change = await relabelled(custody, permit(), secret, labels);
  const has = labelsOf(labels, versionId);
  return {
    answer: { secretId, name, versionId, labels: has },
    details: { ...told(step, verdict), change: { versionId, labels: has.join(' '), ...(dropped !== undefined && { dropped }) } },
    validUntil: verdict.validUntil,
    apply: (writes) => writes.secrets.putVersion({ ...change, added, dropped }),
  };
}

/**
 * The same value under the same id is success, so that a call whose answer was lost can be made again. Versions are written once.
 * To compare is to read: who may not, could guess.
 */
async function putAgain(
  { custody, grants }: SecretUseParts,
  step: Step<'PutSecretValue'>,
  secret: StoredSecret,
  version: SealedVersion,
  verdict: Allowed,
): Promise<Done<'PutSecretValue'>> {
  const { secretId, name, labels } = secret;
  const { versionId, keyVersionId } = version;
  const of = { secretId, versionId };
  const context = secretContext(of);
  const asking = { ...step, operation: 'GetSecretValue' as const, justification: step.input.justification };
  const ofSecret = decideSecret(asking, secret, context);
  const reading = await decideSecretKey(grants, asking, ofSecret, {
    use: 'Decrypt',
    keyId: secret.keyId,
    versionId: keyVersionId,
    context,
  });
  const refusal = ofSecret.error ?? reading.error;
  const mayCompare = refusal === undefined && isAllowed(reading) && reading.charges.length === 0;
  if (refusal !== undefined && refusal.code !== 'not-granted') return declined(step, { ...verdict, error: refusal });
  const same =
    mayCompare &&
    isSame(await openVersion(custody, step.permit({ versionId: keyVersionId }), reading.version, of, version), step.input.value) &&
    version.format === step.input.format;
  if (!same) throw new KeywardError('already-exists', 'The version has another value.', { reason: 'version-exists' });
  const has = labelsOf(labels, versionId);
  return {
    answer: { secretId, name, versionId, labels: has },
    details: { ...told(step, verdict), change: { versionId, again: true } },
    validUntil: verdict.validUntil,
  };
}

/** A failure after the decision keeps what the decision says, for the record. */
async function working<Operation extends 'GetSecretValue' | 'PutSecretValue'>(
  step: ValueStep,
  verdict: SecretVerdict,
  secret: StoredSecret,
  work: () => Promise<Done<Operation>>,
): Promise<Done<Operation>> {
  try {
    mustBeKept(secret);
    return await work();
  } catch (error) {
    if (error instanceof StaleSnapshot) throw error;
    return { error: asFailure(error), details: told(step, verdict), validUntil: verdict.validUntil };
  }
}

const isAllowed = (verdict: SecretKeyVerdict): verdict is Allowed =>
  verdict.error === undefined && verdict.key !== undefined && verdict.version !== undefined;

const versioned = (verdict: SecretVerdict, { versionId }: Pick<SealedVersion, 'versionId'>): SecretVerdict => {
  const { secret } = verdict.details;
  return secret === undefined ? verdict : { ...verdict, details: { ...verdict.details, secret: { ...secret, versionId } } };
};

const told = ({ input }: Pick<Step<SecretUse>, 'input'>, { details }: Pick<SecretVerdict, 'details'>) => ({
  ...details,
  ...('justification' in input ? askedIn(input) : {}),
});

const declined = (step: Pick<Step<SecretUse>, 'input'>, verdict: SecretVerdict): Declined => ({
  error: verdict.error ?? new KeywardError('internal', '', { reason: 'declined without a reason' }),
  details: told(step, verdict),
  validUntil: verdict.validUntil,
});
