import {
  ENCRYPTION_ALGORITHMS,
  type EncryptionAlgorithm,
  HASHED_BY,
  MAX_DATA_KEY_BYTES,
  MAX_IMPORTED_BYTES,
  MAX_MAC_MESSAGE_BYTES,
  MAX_OAEP_CIPHERTEXT_BYTES,
  MAX_OAEP_PLAINTEXT_BYTES,
  MAX_RANDOM_BYTES,
  MAX_SIGNATURE_BYTES,
  MAX_SIGNED_MESSAGE_BYTES,
  secretId,
  SIGNING_ALGORITHMS,
  signsDigests,
  type SigningAlgorithm,
  tenantId,
} from '#contract';
import {
  BOUND_KINDS,
  CustodyUnavailable,
  DecryptFailed,
  KeyBindingBroken,
  KeyDestroyed,
  type RuleRow,
  type SecretClaim,
  secretKeyAad,
  secretRow,
} from '#core';
import type { Hsm } from '#custody/pkcs11';
import {
  CheckpointRefused,
  CODE,
  CustodyBusy,
  decodeDraft,
  decodeImport,
  decodeMove,
  decodeRebindable,
  decodeRotation,
  decodeSecretClaim,
  decodeTombstone,
  encodeImport,
  encodeRow,
  IMPORT,
  ImportRefused,
  NotCapable,
  OPERATION,
  PLANES,
  RowOnWire,
} from '#custody/socket';
import type { CustodyOperation, Handler, Plane } from '#custody/socket';
import { bytesAt, integerAt, textAt } from './arguments.js';

const MAX_ROW_BYTES = 8192;
/** All names that a key can have, and little else. */
const MAX_CLAIM_BYTES = 32_768;
const MAX_AAD_BYTES = 16_384;
const MAX_PLAINTEXT_BYTES = 6144;
const MAX_MAC_BYTES = 64;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const LOG_ID = /^[A-Za-z0-9_-]{1,64}$/;
const ORIGIN = /^[^\s+]{1,200}$/u;
const RULE_ID = /^[\x21-\x7e]{1,128}$/;
const KIND = new RegExp(`^(${BOUND_KINDS.join('|')})$`);
const ALGORITHM = new RegExp(`^(${SIGNING_ALGORITHMS.join('|')})$`);
const OAEP = new RegExp(`^(${ENCRYPTION_ALGORITHMS.join('|')})$`);
/** Nine digits of a label. */
const MAX_ROOT = 999_999_999;
const AFTER_KEY = /^[\x21-\x7e]{0,128}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const MAX_ROWS_CHECKED = 64;
const DIGEST_BYTES = 32;
const MAX_PROOF_HASHES = 128;
const MAX_LOG_KEY = 1_000_000;
/** Closed forms: what is signed has no room for other words. */
const OPERATION_ID = /^op_[0-9a-z]{26}$/;
const KEY_ID = /^key_[0-9a-z]{26}$/;
const VERSION_ID = /^kver_[0-9a-z]{26}$/;
const SECRET_ID = /^sec_[0-9a-z]{26}$/;
const SECRET_VERSION = /^[A-Za-z0-9_/+=.@-]{1,64}$/;
const SECRET_KEY_BYTES = 32;
const SERVICE = /^[a-z][a-z0-9-]{0,62}$/;
const MAX_COUNT = 999_999_999_999_999;
const DECIMAL = /^(0|[1-9]\d{0,18})$/;

type Operations = Record<CustodyOperation, (hsm: Hsm, tenant: string, args: readonly unknown[]) => unknown>;

/** What each operation takes from the wire, does, and answers. Secrets last. */
const OPERATIONS: Operations = {
  ping: (hsm) => hsm.ping(),
  capabilities: (hsm) => hsm.use((custody) => custody.capabilities()),

  createTenantRoot: (hsm, tenant, args) => {
    const root = integerAt(args, 0, 0, MAX_ROOT);
    return hsm.use((custody) => custody.createTenantRoot(tenantId.parse(tenant), root));
  },

  createLogKey: (hsm, tenant, args) => {
    // A plane of before there were numbers asks for the first.
    const number = args.length === 0 ? 1 : integerAt(args, 0, 1, MAX_LOG_KEY);
    return [hsm.use((custody) => custody.createLogKey(tenantId.parse(tenant), number)).publicKey];
  },

  destroyLogKey: (hsm, tenant, args) => {
    const number = integerAt(args, 0, 1, MAX_LOG_KEY);
    return hsm.use((custody) => custody.destroyLogKey(tenantId.parse(tenant), number));
  },

  createKeyVersion: async (hsm, tenant, args) => {
    const draft = decodeDraft(bytesAt(args, 0, 1, MAX_ROW_BYTES));
    if (draft.tenant !== tenant) throw new RangeError("The draft is another tenant's.");
    const root = integerAt(args, 1, 0, MAX_ROOT);
    return [encodeRow(await hsm.useLater((custody) => custody.createKeyVersion(draft, root)))];
  },

  createImport: async (hsm, tenant, args) => {
    const parameters = decodeImport(bytesAt(args, 0, 1, MAX_ROW_BYTES));
    if (parameters.tenant !== tenant) throw new RangeError("The import is another tenant's.");
    const { bound, statement } = await hsm.createImport(
      parameters,
      { origin: textAt(args, 1, ORIGIN), keys: args.slice(3, 5).map((_, at) => integerAt(args, 3 + at, 1, MAX_ROOT)) },
      integerAt(args, 2, 0, MAX_ROOT),
    );
    return [encodeImport(bound), statement];
  },

  importKeyMaterial: (hsm, tenant, args) => {
    const bound = decodeImport(bytesAt(args, 0, 1, MAX_ROW_BYTES));
    if (bound.tenant !== tenant) throw new RangeError("The import is another tenant's.");
    const before = unlessEmpty(bytesAt(args, 4, 0, MAX_ROW_BYTES));
    const material = {
      encrypted: bytesAt(args, 1, 1, MAX_IMPORTED_BYTES),
      publicKey: unlessEmpty(bytesAt(args, 2, 0, 1024)),
      validTo: integerAt(args, 3, 0, Number.MAX_SAFE_INTEGER),
      before: before && new RowOnWire(tenant, before),
      root: integerAt(args, 5, 0, MAX_ROOT),
    };
    return [encodeRow(hsm.use((custody) => custody.importKeyMaterial(bound, material)))];
  },

  emptyKeyVersion: (hsm, tenant, args) => [
    encodeRow(hsm.use((custody) => custody.emptyKeyVersion(new RowOnWire(tenant, bytesAt(args, 0, 1, MAX_ROW_BYTES))))),
  ],

  bindRule: (hsm, tenant, args) => {
    const row = ruleAt(tenantId.parse(tenant), args, 0);
    return [hsm.use((custody) => custody.bindRule(row))];
  },

  checkBindings: (hsm, _tenant, args) => {
    if (args.length === 0 || args.length > MAX_ROWS_CHECKED) throw new RangeError(`Between 1 and ${MAX_ROWS_CHECKED} rows, please.`);
    const rows = args.map((asked) => {
      if (!Array.isArray(asked)) throw new RangeError('Not a row.');
      const tenant = tenantId.parse(asked[0]);
      return { ...ruleAt(tenant, asked, 1), mac: bytesAt(asked, 4, DIGEST_BYTES, DIGEST_BYTES) };
    });
    return hsm.use((custody) => rows.map((row) => custody.isBound(row)));
  },

  encrypt: (hsm, tenant, args) => {
    const [row, aad] = keyAndAad(tenant, args);
    const plaintext = bytesAt(args, 2, 1, MAX_PLAINTEXT_BYTES);
    const { iv, ciphertext } = hsm.use(({ uses }) => uses.encrypt(row, aad, plaintext));
    return [iv, ciphertext];
  },

  decrypt: (hsm, tenant, args) => {
    const [row, aad] = keyAndAad(tenant, args);
    const sealed = {
      iv: bytesAt(args, 2, IV_BYTES, IV_BYTES),
      ciphertext: bytesAt(args, 3, TAG_BYTES + 1, MAX_PLAINTEXT_BYTES + TAG_BYTES),
    };
    return [hsm.use(({ uses }) => uses.decrypt(row, aad, sealed))];
  },

  generateDataKey: (hsm, tenant, args) => {
    const [row, aad] = keyAndAad(tenant, args);
    const length = integerAt(args, 2, 1, MAX_DATA_KEY_BYTES);
    const { iv, ciphertext, plaintext } = hsm.use(({ uses }) => uses.generateDataKey(row, aad, length));
    return [iv, ciphertext, plaintext];
  },

  generateDataKeyWithoutPlaintext: (hsm, tenant, args) => {
    const [row, aad] = keyAndAad(tenant, args);
    const length = integerAt(args, 2, 1, MAX_DATA_KEY_BYTES);
    const { iv, ciphertext } = hsm.use(({ uses }) => uses.generateDataKeyWithoutPlaintext(row, aad, length));
    return [iv, ciphertext];
  },

  generateSecretKey: (hsm, tenant, args) => {
    const [row, aad] = keyOfSecret(tenant, args);
    const { iv, ciphertext, plaintext } = hsm.use(({ uses }) => uses.generateDataKey(row, aad, SECRET_KEY_BYTES));
    return [iv, ciphertext, plaintext];
  },

  openSecretKey: (hsm, tenant, args) => {
    const [row, aad] = keyOfSecret(tenant, args);
    const sealed = {
      iv: bytesAt(args, 3, IV_BYTES, IV_BYTES),
      ciphertext: bytesAt(args, 4, SECRET_KEY_BYTES + TAG_BYTES, SECRET_KEY_BYTES + TAG_BYTES),
    };
    return [hsm.use(({ uses }) => uses.decrypt(row, aad, sealed))];
  },

  /** One kind only: whoever puts values makes no other rule. */
  bindSecretLabels: (hsm, tenant, args) => {
    const row = { tenant: tenantId.parse(tenant), kind: 'secret-labels' as const, id: textAt(args, 0, SECRET_ID) };
    return [hsm.use((custody) => custody.bindRule({ ...row, digest: bytesAt(args, 1, DIGEST_BYTES, DIGEST_BYTES) }))];
  },

  generateRotatedKey: (hsm, tenant, [claim, ...args]) => {
    mustBeClaimed(hsm, tenant, claim, ({ secretId: id }) => id === args[1]);
    return OPERATIONS.generateSecretKey(hsm, tenant, args);
  },

  openRotatedKey: (hsm, tenant, [claim, ...args]) => {
    mustBeClaimed(hsm, tenant, claim, ({ secretId: id, rotation }) => id === args[1] || rotation.connectionSecret === args[1]);
    return OPERATIONS.openSecretKey(hsm, tenant, args);
  },

  bindRotatedLabels: (hsm, tenant, [claim, ...args]) => {
    mustBeClaimed(hsm, tenant, claim, ({ secretId: id }) => id === args[0]);
    return OPERATIONS.bindSecretLabels(hsm, tenant, args);
  },

  generateMac: (hsm, tenant, args) => [hsm.use(({ uses }) => uses.generateMac(...keyAndMessage(tenant, args)))],

  verifyMac: (hsm, tenant, args) => {
    const mac = bytesAt(args, 2, 1, MAX_MAC_BYTES);
    return hsm.use(({ uses }) => uses.verifyMac(...keyAndMessage(tenant, args), mac));
  },

  sign: (hsm, tenant, args) => [hsm.use(({ uses }) => uses.sign(...keyAndSigned(tenant, args)))],

  verify: (hsm, tenant, args) => {
    const signature = bytesAt(args, 3, 1, MAX_SIGNATURE_BYTES);
    return hsm.use(({ uses }) => uses.verify(...keyAndSigned(tenant, args), signature));
  },

  generateRandom: (hsm, _tenant, args) => [hsm.use(({ uses }) => uses.generateRandom(integerAt(args, 0, 1, MAX_RANDOM_BYTES)))],

  asymmetricEncrypt: (hsm, tenant, args) => {
    const plaintext = bytesAt(args, 2, 1, MAX_OAEP_PLAINTEXT_BYTES);
    return [hsm.use(({ uses }) => uses.asymmetricEncrypt(...keyAndOaep(tenant, args), plaintext))];
  },

  asymmetricDecrypt: (hsm, tenant, args) => {
    const ciphertext = bytesAt(args, 2, 1, MAX_OAEP_CIPHERTEXT_BYTES);
    return [hsm.use(({ uses }) => uses.asymmetricDecrypt(...keyAndOaep(tenant, args), ciphertext))];
  },

  publicKey: (hsm, tenant, args) => [hsm.use((custody) => custody.publicKey(new RowOnWire(tenant, bytesAt(args, 0, 1, MAX_ROW_BYTES))))],

  signCheckpoint: (hsm, tenant, args) => {
    const log = { logId: textAt(args, 0, LOG_ID), origin: textAt(args, 1, ORIGIN), keys: keysAt(args, 5) };
    const size = BigInt(textAt(args, 2, DECIMAL));
    const root = Uint8Array.from(bytesAt(args, 3, 32, 32));
    return hsm.signCheckpoint(tenantId.parse(tenant), log, { size, root, proof: hashesAt(args, 4) });
  },

  makeTombstone: (hsm, tenant, args) => {
    const { versionId, mac, tombstoneMac } = hsm.use((custody) =>
      custody.makeTombstone(new RowOnWire(tenant, bytesAt(args, 0, 1, MAX_ROW_BYTES))),
    );
    return [versionId, mac, tombstoneMac];
  },

  keepTombstone: (hsm, tenant, args) => hsm.keepTombstone(decodeTombstone(tenant, args)),

  shreddingReceipt: (hsm, tenant, args) =>
    hsm.shreddingReceipt(tenantId.parse(tenant), {
      origin: textAt(args, 0, ORIGIN),
      keyId: textAt(args, 1, RULE_ID),
      seq: BigInt(textAt(args, 2, DECIMAL)),
      logKey: args[3] === undefined ? 1 : integerAt(args, 3, 1, MAX_LOG_KEY),
      rootEndedAt: args[4] === null ? undefined : textAt(args, 4, TIME),
    }),

  completionCertificate: (hsm, tenant, args) => {
    const order = {
      ...{ tenant: tenantId.parse(tenant), operationId: textAt(args, 2, OPERATION_ID), keyId: textAt(args, 3, KEY_ID) },
      ...{ fromVersionId: textAt(args, 4, VERSION_ID), toVersionId: textAt(args, 5, VERSION_ID) },
      service: args[6] === null ? undefined : textAt(args, 6, SERVICE),
      ...{ population: integerAt(args, 7, 0, MAX_COUNT), moved: integerAt(args, 8, 0, MAX_COUNT), kept: integerAt(args, 9, 0, MAX_COUNT) },
      ...{ failed: integerAt(args, 10, 0, MAX_COUNT), startedAt: textAt(args, 11, TIME), endedAt: textAt(args, 12, TIME) },
      ...{ firstRecord: integerAt(args, 13, 0, MAX_COUNT), lastRecord: integerAt(args, 14, 0, MAX_COUNT) },
    };
    return hsm.completionCertificate(order, textAt(args, 0, ORIGIN), integerAt(args, 1, 1, MAX_LOG_KEY));
  },

  kept: (hsm, tenant, args) => {
    const asked = { logId: textAt(args, 0, LOG_ID), root: integerAt(args, 1, 0, MAX_ROOT), afterKey: textAt(args, 2, AFTER_KEY) };
    const { signedSize, signedRoot, hasRoot, destroyed } = hsm.remembered(tenantId.parse(tenant), asked);
    return [signedSize.toString(), hasRoot, destroyed, signedRoot ?? null];
  },

  rewrap: (hsm, tenant, args) => {
    const [row, root] = [bytesAt(args, 0, 1, MAX_ROW_BYTES), integerAt(args, 1, 0, MAX_ROOT)];
    if (args[2] !== IMPORT) return [encodeRow(hsm.use((custody) => custody.rewrap(new RowOnWire(tenant, row), root)))];
    const bound = decodeImport(row);
    if (bound.tenant !== tenant) throw new RangeError("The import is another tenant's.");
    return [encodeImport(hsm.use((custody) => custody.rewrapImport(bound, root)))];
  },
  rotateKey: async (hsm, tenant, args) => {
    const row = new RowOnWire(tenant, bytesAt(args, 0, 1, MAX_ROW_BYTES));
    const claim = decodeRotation(bytesAt(args, 1, 1, MAX_CLAIM_BYTES));
    const { version, namesMac } = await hsm.useLater((custody) => custody.rotateKey(tenantId.parse(tenant), row, claim));
    return [encodeRow(version), namesMac];
  },

  moveItem: (hsm, tenant, args) => {
    const [from, to] = [0, 1].map((at) => new RowOnWire(tenant, bytesAt(args, at, 1, MAX_ROW_BYTES))) as [RowOnWire, RowOnWire];
    const claim = decodeMove(bytesAt(args, 2, 1, MAX_ROW_BYTES));
    const context = bytesAt(args, 3, 1, MAX_AAD_BYTES);
    const sealed = {
      iv: bytesAt(args, 4, IV_BYTES, IV_BYTES),
      ciphertext: bytesAt(args, 5, TAG_BYTES + 1, MAX_PLAINTEXT_BYTES + TAG_BYTES),
    };
    const moved = hsm.use((custody) => custody.moveItem(tenantId.parse(tenant), { ...claim, from, to, context, sealed }));
    return [moved.iv, moved.ciphertext];
  },

  createBindingKey: (hsm, _tenant, args) => {
    const number = integerAt(args, 0, 1, MAX_ROOT);
    return hsm.use((custody) => custody.createBindingKey(number));
  },

  rebind: (hsm, tenant, args) => {
    const row = decodeRebindable(tenant, args);
    return [hsm.use((custody) => custody.rebind(row)) ?? null];
  },

  destroyOlderBindingKeys: (hsm, _tenant, args) => {
    const [number, mac] = [integerAt(args, 0, 1, MAX_ROOT), bytesAt(args, 1, DIGEST_BYTES, DIGEST_BYTES)];
    return hsm.use((custody) => custody.destroyOlderBindingKeys(number, mac));
  },

  destroyOlderRoots: (hsm, tenant, args) => {
    const root = integerAt(args, 0, 1, MAX_ROOT);
    return hsm.use((custody) => custody.destroyOlderRoots(tenantId.parse(tenant), root));
  },

  signedSize: (hsm, tenant, args) => hsm.signedSize(tenantId.parse(tenant), textAt(args, 0, LOG_ID)).toString(),
};

/** The operations that a plane's socket accepts, by their number on the wire. `onDone` is told of each that the HSM has done. */
export function operationsOf(
  plane: Plane,
  hsm: () => Hsm,
  onDone: (name: CustodyOperation) => void = () => undefined,
): ReadonlyMap<number, Handler> {
  const handlerOf =
    (name: CustodyOperation): Handler =>
    (tenant, args) => {
      const result = OPERATIONS[name](hsm(), tenant, args);
      if (!(result instanceof Promise)) onDone(name);
      else
        result.then(
          () => onDone(name),
          () => undefined,
        );
      return result;
    };
  return new Map(PLANES[plane].map((name) => [OPERATION[name], handlerOf(name)]));
}

/** An error as the plane learns it: its kind, nothing of its text. */
export function codeOf(error: unknown): number {
  if (error instanceof CustodyUnavailable) return CODE.unavailable;
  if (error instanceof DecryptFailed) return CODE.decryptFailed;
  if (error instanceof KeyBindingBroken) return CODE.keyBindingBroken;
  if (error instanceof KeyDestroyed) return CODE.keyDestroyed;
  if (error instanceof CheckpointRefused) return CODE.checkpointRefused;
  if (error instanceof NotCapable) return CODE.notCapable;
  if (error instanceof ImportRefused) return CODE[error.refusal];
  if (error instanceof CustodyBusy) return CODE.busy;
  return CODE.malformed;
}

/** A proof has two hashes a level of the tree at most. */
function hashesAt(args: readonly unknown[], at: number): Uint8Array[] {
  const hashes = args[at];
  if (!Array.isArray(hashes) || hashes.length > MAX_PROOF_HASHES) throw new RangeError('Not a proof.');
  return hashes.map((_, place) => Uint8Array.from(bytesAt(hashes, place, DIGEST_BYTES, DIGEST_BYTES)));
}

/** Two at most: one key, and the one that takes over from it. */
function keysAt(args: readonly unknown[], at: number): number[] {
  const keys = args[at] ?? [1];
  if (!Array.isArray(keys) || keys.length < 1 || keys.length > 2) throw new RangeError('One log key signs, or two.');
  return keys.map((_, place) => integerAt(keys, place, 1, MAX_LOG_KEY));
}

function ruleAt(tenant: RuleRow['tenant'], args: readonly unknown[], at: number): RuleRow {
  const kind = textAt(args, at, KIND) as RuleRow['kind'];
  return { tenant, kind, id: textAt(args, at + 1, RULE_ID), digest: bytesAt(args, at + 2, DIGEST_BYTES, DIGEST_BYTES) };
}

function keyAndMessage(tenant: string, args: readonly unknown[]): readonly [RowOnWire, Buffer] {
  return [new RowOnWire(tenant, bytesAt(args, 0, 1, MAX_ROW_BYTES)), bytesAt(args, 1, 1, MAX_MAC_MESSAGE_BYTES)];
}

/** A digest of the algorithm's length, or of Ed25519 the message. */
function keyAndSigned(tenant: string, args: readonly unknown[]): readonly [RowOnWire, SigningAlgorithm, Buffer] {
  const algorithm = textAt(args, 1, ALGORITHM) as SigningAlgorithm;
  const [least, most] = signsDigests(algorithm) ? [HASHED_BY[algorithm].bytes, HASHED_BY[algorithm].bytes] : [1, MAX_SIGNED_MESSAGE_BYTES];
  return [new RowOnWire(tenant, bytesAt(args, 0, 1, MAX_ROW_BYTES)), algorithm, bytesAt(args, 2, least, most)];
}

const unlessEmpty = (bytes: Buffer): Buffer | undefined => (bytes.length === 0 ? undefined : bytes);

function keyAndOaep(tenant: string, args: readonly unknown[]): readonly [RowOnWire, EncryptionAlgorithm] {
  return [new RowOnWire(tenant, bytesAt(args, 0, 1, MAX_ROW_BYTES)), textAt(args, 1, OAEP) as EncryptionAlgorithm];
}

/** What a secret's data key is bound to is composed here: whoever may open these opens nothing else. */
function keyOfSecret(tenant: string, args: readonly unknown[]): readonly [RowOnWire, Buffer] {
  const row = new RowOnWire(tenant, bytesAt(args, 0, 1, MAX_ROW_BYTES));
  const of = { secretId: secretId.parse(textAt(args, 1, SECRET_ID)), versionId: textAt(args, 2, SECRET_VERSION) };
  return [row, secretKeyAad(tenant, row.row(), of)];
}

/** The worker's: an admin bound a rotation policy that is about this secret. @throws KeyBindingBroken */
function mustBeClaimed(hsm: Hsm, tenant: string, claimed: unknown, isAbout: (claim: SecretClaim) => boolean): void {
  const claim = decodeSecretClaim(bytesAt([claimed], 0, 1, MAX_CLAIM_BYTES));
  const row = { ...secretRow(tenantId.parse(tenant), claim), mac: claim.mac };
  if (!isAbout(claim) || !hsm.use((custody) => custody.isBound(row))) throw new KeyBindingBroken('of a rotation');
}

function keyAndAad(tenant: string, args: readonly unknown[]): readonly [RowOnWire, Buffer] {
  return [rowOf(tenant, bytesAt(args, 0, 1, MAX_ROW_BYTES)), bytesAt(args, 1, 1, MAX_AAD_BYTES)];
}

/** Calls that travel together present one row, in one buffer. */
const rows = new WeakMap<Buffer, RowOnWire>();

function rowOf(tenant: string, encoded: Buffer): RowOnWire {
  const row = rows.get(encoded) ?? new RowOnWire(tenant, encoded);
  rows.set(encoded, row);
  return row;
}
