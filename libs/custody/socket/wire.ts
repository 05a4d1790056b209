import { Packr } from 'msgpackr';

/**
 * The frame protocol between planes and custodian: u32 length (big-endian) ‖ MessagePack. A request is `[id, op, tenant, args]`,
 * its reply `[id, 0, result]` or `[id, code]`. Frames are at most 64 KiB. Secrets come last in args and results, so that an
 * encoder that grows its buffer has not copied them yet.
 */
export const MAX_FRAME_BYTES = 65_536;

/** Numbers on the wire: never given to another operation. */
export const OPERATION = {
  ping: 1,
  capabilities: 2,
  createTenantRoot: 3,
  createLogKey: 4,
  createKeyVersion: 5,
  encrypt: 6,
  decrypt: 7,
  generateDataKey: 8,
  generateDataKeyWithoutPlaintext: 9,
  signCheckpoint: 10,
  bindRule: 11,
  checkBindings: 12,
  generateMac: 13,
  verifyMac: 14,
  sign: 15,
  verify: 16,
  publicKey: 17,
  destroyLogKey: 18,
  signedSize: 20,
  generateRandom: 24,
  asymmetricEncrypt: 25,
  asymmetricDecrypt: 26,
  createImport: 27,
  importKeyMaterial: 28,
  emptyKeyVersion: 29,
  makeTombstone: 30,
  keepTombstone: 31,
  kept: 32,
  rewrap: 33,
  destroyOlderRoots: 34,
  shreddingReceipt: 35,
  rotateKey: 42,
  completionCertificate: 50,
  generateSecretKey: 51,
  openSecretKey: 52,
  bindSecretLabels: 53,
  moveItem: 140,
  generateRotatedKey: 120,
  openRotatedKey: 121,
  bindRotatedLabels: 122,
  createBindingKey: 55,
  rebind: 56,
  destroyOlderBindingKeys: 57,
} as const;
/** In an operation's place: several uses of one key, `[operation, row, [args without it, …]]`, answered by `[[0, result] or [code], …]`. */
export const TOGETHER = 150;
/** In one frame: no other plane's calls wait long behind them. */
export const MOST_TOGETHER = 64;
/** What may travel so. */
export const GATHERED: ReadonlySet<number> = new Set([OPERATION.encrypt, OPERATION.decrypt, OPERATION.generateDataKey]);
export type CustodyOperation = keyof typeof OPERATION;

/** What each plane's socket accepts. Whoever takes over one plane gets these, and not the others'. */
export const PLANES = {
  key: [
    'createTenantRoot',
    'createBindingKey',
    'createLogKey',
    'createKeyVersion',
    'createImport',
    'importKeyMaterial',
    'emptyKeyVersion',
    'completionCertificate',
    'bindRule',
    'checkBindings',
    'publicKey',
    'generateRandom',
    'generateSecretKey',
    'openSecretKey',
    'bindSecretLabels',
    'keepTombstone',
    'kept',
    'capabilities',
    'ping',
  ],
  data: [
    'encrypt',
    'decrypt',
    'generateDataKey',
    'generateDataKeyWithoutPlaintext',
    'generateMac',
    'verifyMac',
    'sign',
    'verify',
    'generateRandom',
    'asymmetricEncrypt',
    'asymmetricDecrypt',
    'publicKey',
    'generateSecretKey',
    'openSecretKey',
    'bindSecretLabels',
    'checkBindings',
    'keepTombstone',
    'ping',
  ],
  worker: [
    'signCheckpoint',
    'signedSize',
    'destroyLogKey',
    'makeTombstone',
    'keepTombstone',
    'shreddingReceipt',
    'rewrap',
    'destroyOlderRoots',
    'rebind',
    'destroyOlderBindingKeys',
    'rotateKey',
    'moveItem',
    'generateRotatedKey',
    'openRotatedKey',
    'bindRotatedLabels',
    'checkBindings',
    'capabilities',
    'ping',
  ],
} as const satisfies Record<string, readonly CustodyOperation[]>;
export type Plane = keyof typeof PLANES;

/** Refusals on the wire. */
export const CODE = {
  ok: 0,
  unavailable: 1,
  decryptFailed: 2,
  keyBindingBroken: 3,
  notAllowed: 4,
  malformed: 5,
  checkpointRefused: 6,
  keyDestroyed: 7,
  notCapable: 24,
  busy: 25,
  notMaterial: 26,
  otherMaterial: 27,
  importExpired: 28,
} as const;

/** A frame's content: plain arrays, no records, no extensions written. Decoded bytes are views of the frame. */
export const messages = new Packr({ useRecords: false });

/** More than any frame has that travels together. */
const ROOM_BYTES = 40_960;

/** A frame with secrets in the middle: in a buffer that need not grow, which would leave what was written so far in the one before. */
export function packedTogether(content: readonly unknown[]): Buffer {
  messages.useBuffer(Buffer.allocUnsafeSlow(ROOM_BYTES));
  return messages.pack(content);
}
