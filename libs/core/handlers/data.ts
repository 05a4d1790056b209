import { createHash } from 'node:crypto';
import {
  type AsymmetricDecryptRequest,
  type AsymmetricEncryptRequest,
  type DataOperation,
  type EncryptRequest,
  type GenerateDataKeyWithoutPlaintextRequest,
  type GenerateMacRequest,
  HASHED_BY,
  oaepLength,
  oaepRoom,
  type SignRequest,
  signsDigests,
  type VerifyRequest,
} from '#contract';
import { type CiphertextKind, frameCiphertext, parseCiphertext } from '../ciphertext.js';
import { type Decided, decideUse, type KeyUse, type Wish } from '../decide.js';
import { contextOf } from '../encryption-context.js';
import { asFailure, DecryptFailed, InvalidRequest } from '../errors.js';
import { leased } from '../leases.js';
import type { DataKeyResult, OpenedResult } from '../operation-shapes.js';
import type { Handlers, Step } from '../pipeline.js';
import type { Custody, Sealed } from '../ports/custody.js';
import { sizeBucket } from '../record.js';
import { sm2Digest } from '../sm2-digest.js';
import type { KnownContext, SnapshotKey, UsableVersion } from '../snapshot.js';
import { askedIn } from './asked-in.js';
import { answering, type Released } from './for-recipient.js';
import { randomHandler } from './random.js';

type Allowed<Operation extends KeyUse> = Extract<Awaited<ReturnType<typeof decideUse>>, { allowed: true }> & {
  readonly permit: ReturnType<Step<Operation>['permit']>;
};

/** The calls of the ISV's backends. Each says what it wants, is decided, and only then receives a permit. */
export function dataHandlers(custody: Custody): Handlers<DataOperation> {
  return {
    Encrypt: (step) =>
      using(step, wishToSeal(step.input, sizeBucket(step.input.plaintext.length)), 'direct', async ({ permit, key, version }) => {
        const sealed = await custody.encrypt(permit, version, step.input.plaintext);
        return { answer: { ...used(key, version), ciphertext: framed(version.headers.direct, sealed) } };
      }),

    Decrypt: (step) => opening(custody, step, () => answering<OpenedResult>(step.input.recipient)),

    GenerateDataKey: (step) =>
      using(step, wishToSeal(step.input, sizeBucket(lengthOf(step.input))), 'dataKey', async ({ permit, key, version, lease }) => {
        const answered = answering<DataKeyResult>(step.input.recipient);
        const made = await custody.generateDataKey(permit, version, lengthOf(step.input));
        const ciphertext = framed(version.headers.dataKey, made);
        return answered({ ...used(key, version), lease, ciphertext, plaintext: made.plaintext }, ciphertext);
      }),

    GenerateDataKeyWithoutPlaintext: (step) =>
      using(step, wishToSeal(step.input, sizeBucket(lengthOf(step.input))), 'dataKey', async ({ permit, key, version }) => {
        const made = await custody.generateDataKeyWithoutPlaintext(permit, version, lengthOf(step.input));
        return { answer: { ...used(key, version), ciphertext: framed(version.headers.dataKey, made) } };
      }),

    ReEncryptFrom: (step) => opening(custody, step, () => (opened) => ({ answer: opened, secret: opened.plaintext })),

    /** What was a data key's ciphertext is one again. */
    ReEncryptTo: (step) => {
      const { opened } = step.input;
      const kind = opened?.kind ?? 'direct';
      return using(step, wishToSeal(step.input, opened && sizeBucket(opened.plaintext.length)), kind, async ({ permit, key, version }) => {
        if (opened === undefined) throw new InvalidRequest([{ field: 'ciphertext', message: 'is missing' }]);
        const sealed = await custody.encrypt(permit, version, opened.plaintext);
        return { answer: { ...used(key, version), ciphertext: framed(version.headers[kind], sealed) } };
      });
    },

    GenerateMac: (step) =>
      using(step, wishToProve(step.input), 'none', async ({ permit, key, version }) => ({
        answer: { ...used(key, version), mac: await custody.generateMac(permit, version, step.input.message) },
      })),

    VerifyMac: (step) =>
      using(step, { ...wishToProve(step.input), versionId: step.input.keyVersionId }, 'none', async ({ permit, key, version }) => ({
        answer: { ...used(key, version), valid: await custody.verifyMac(permit, version, step.input.message, step.input.mac) },
      })),

    Sign: (step) =>
      using(step, wishToSign(step.input), 'none', async ({ permit, key, version }) => {
        const { algorithm } = step.input;
        return {
          answer: {
            ...used(key, version),
            algorithm,
            signature: await custody.sign(permit, version, algorithm, signedOf(step.input, version)),
          },
        };
      }),

    Verify: (step) => {
      const { keyVersionId: versionId, algorithm, signature } = step.input;
      return using(step, { ...wishToSign(step.input), versionId }, 'none', async ({ permit, key, version }) => ({
        answer: {
          ...used(key, version),
          valid: await custody.verify(permit, version, algorithm, signedOf(step.input, version), signature),
        },
      }));
    },

    AsymmetricEncrypt: (step) =>
      using(step, wishToEncrypt(step.input, step.input.plaintext), 'none', async ({ permit, key, version }) => {
        const { algorithm, plaintext } = step.input;
        const most = oaepRoom(version.spec, algorithm);
        if (plaintext.length > most) throw new InvalidRequest([{ field: 'plaintext', message: `must be at most ${most} bytes` }]);
        const ciphertext = await custody.asymmetricEncrypt(permit, version, algorithm, plaintext);
        return { answer: { ...used(key, version), algorithm, ciphertext } };
      }),

    AsymmetricDecrypt: (step) =>
      using(step, wishToEncrypt(step.input), 'none', async ({ permit, key, version }) => {
        const { algorithm, ciphertext } = step.input;
        if (ciphertext.length !== oaepLength(version.spec)) throw new DecryptFailed('another-length');
        const plaintext = await custody.asymmetricDecrypt(permit, version, algorithm, ciphertext);
        return { answer: { ...used(key, version), algorithm, plaintext }, secret: plaintext };
      }),

    GenerateRandom: randomHandler(custody),

    GetPublicKey: (step) => {
      const { keyId: reference, keyVersionId: versionId, justification } = step.input;
      return using(
        step,
        { lookup: { reference }, context: undefined, justification, versionId },
        'none',
        async ({ permit, key, version }) => ({
          answer: { ...used(key, version), keySpec: version.spec, publicKey: await custody.publicKey(permit, version) },
        }),
      );
    },
  };
}

/** The key version is the one that the ciphertext names. */
function opening<Operation extends 'Decrypt' | 'ReEncryptFrom', Answer>(
  custody: Custody,
  step: Step<Operation>,
  answers: () => (opened: OpenedResult, ciphertext: Uint8Array) => Released<Answer>,
) {
  const { kind, header, versionId, iv, sealed } = parseCiphertext(step.input.ciphertext);
  const wish = {
    lookup: { versionId },
    context: contextOf(step.input.encryptionContext),
    justification: step.input.justification,
    assertedKey: step.input.keyId,
    size: sizeBucket(sealed.length - 16),
  };
  return using(step, wish, kind, async ({ permit, key, version, lease }) => {
    // The AAD has the version's own header: one that names another algorithm would not be noticed.
    if (Buffer.compare(header, version.headers[kind]) !== 0) throw new DecryptFailed('another-algorithm');
    const answered = answers();
    const plaintext = await custody.decrypt(permit, version, { iv, ciphertext: sealed });
    return answered({ ...used(key, version), lease, plaintext, kind }, step.input.ciphertext);
  });
}

/**
 * Decide, then work: a failure after the decision keeps what the decision says about the key, for the record. A dry run ends before the
 * work, and otherwise as the call would: it is no way to learn more.
 */
async function using<Operation extends KeyUse, Answer>(
  step: Step<Operation>,
  wish: Wish,
  kind: CiphertextKind | 'none',
  work: (allowed: Allowed<Operation>) => Promise<Released<Answer>>,
) {
  const { decision, details, leased: held, aad } = await decided(step, wish, kind);
  const { validUntil } = decision;
  if (!decision.allowed) return { error: decision.error, details, validUntil };
  if (step.input.dryRun === true)
    return { answer: { ...used(decision.key, decision.version), dryRun: true as const }, details, validUntil };
  const permit = step.permit({ versionId: decision.version.versionId, aad });
  try {
    const done = await work({ ...decision, permit });
    return { ...done, details: handsOut(step.operation) ? held : details, validUntil, charges: decision.charges };
  } catch (error) {
    return { error: asFailure(error), details, validUntil };
  }
}

const MODES = { direct: 'direct', dataKey: 'data-key' } as const satisfies Record<CiphertextKind, string>;

/** What a caller may keep: re-encryption hands its plaintext to nobody. */
const handsOut = (operation: KeyUse): boolean => operation === 'Decrypt' || operation === 'GenerateDataKey';

/** Items of one batch that ask the very same, under the same rules and at the same time, are told the same. */
function decided(step: Step<KeyUse>, wish: Wish, kind: CiphertextKind | 'none'): Promise<Decided> {
  if (step.decisions === undefined) return decide(step, wish, kind);
  const name = JSON.stringify([wish, kind, askedIn(step.input)]);
  const known = step.decisions.get(name);
  if (known !== undefined) return known;
  const first = decide(step, wish, kind);
  step.decisions.set(name, first);
  return first;
}

async function decide(
  { operation, principal, call, input, snapshot, now }: Step<KeyUse>,
  wish: Wish,
  kind: CiphertextKind | 'none',
): Promise<Decided> {
  const asked = kind === 'none' ? wish : { ...wish, mode: MODES[kind] };
  const decision = await decideUse(operation, principal, call, asked, snapshot, now);
  const details = { ...decision.details, ...askedIn(input) };
  return {
    decision,
    details,
    leased: decision.allowed ? leased(details, decision.lease, now) : details,
    aad: decision.allowed && kind !== 'none' ? aadOf(decision.version, kind, snapshot.context(wish.context ?? {})) : undefined,
  };
}

const aadOf = ({ headers }: UsableVersion, kind: CiphertextKind, { bound }: KnownContext): Uint8Array =>
  Buffer.concat([headers[kind], bound]);

const wishToSeal = (input: Omit<EncryptRequest, 'plaintext'> | GenerateDataKeyWithoutPlaintextRequest, size?: string): Wish => ({
  lookup: { reference: input.keyId },
  context: contextOf(input.encryptionContext),
  justification: input.justification,
  size,
});

/** Neither signatures nor MACs have an encryption context. */
const wishToSign = (input: SignRequest | VerifyRequest): Wish => ({ ...wishToProve(input), algorithm: input.algorithm });

/** The label of OAEP is empty: no encryption context either. */
const wishToEncrypt = (input: AsymmetricEncryptRequest | AsymmetricDecryptRequest, plaintext?: Uint8Array): Wish => ({
  lookup: { reference: input.keyId },
  context: undefined,
  justification: input.justification,
  versionId: input.keyVersionId,
  algorithm: input.algorithm,
  ...(plaintext && { size: sizeBucket(plaintext.length) }),
});

const wishToProve = (input: Pick<GenerateMacRequest, 'keyId' | 'message' | 'justification'>): Wish => ({
  lookup: { reference: input.keyId },
  context: undefined,
  justification: input.justification,
  size: sizeBucket(input.message.length),
});

/** What the custodian signs: a digest, or of Ed25519 the message. */
function signedOf({ message, messageType, algorithm }: SignRequest | VerifyRequest, { publicKey }: UsableVersion): Uint8Array {
  if (messageType === 'DIGEST' || !signsDigests(algorithm)) return message;
  if (algorithm === 'SM2DSA') return sm2Digest(publicKey, message);
  return createHash(HASHED_BY[algorithm].hash).update(message).digest();
}

const lengthOf = (input: GenerateDataKeyWithoutPlaintextRequest): number => input.numberOfBytes ?? (input.keySpec === 'AES_128' ? 16 : 32);
const framed = (header: Uint8Array, sealed: Sealed): Uint8Array => frameCiphertext(header, sealed.iv, sealed.ciphertext);
const used = (key: SnapshotKey, version: UsableVersion) => ({ keyId: key.keyId, keyVersionId: version.versionId });
