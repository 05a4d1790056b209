import { createPublicKey, createSign, createVerify, ECDH, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { EncryptionContext } from '#contract';
import { InvalidCall } from './errors.js';
import { notAMessage } from './message-header.js';

/**
 * In the context that Keyward binds to the data key: the public key of a signed message. Without it whoever may open a message could sign another one of his own under
 * the same data key. (Names that begin with `aws-crypto-` are reserved there.)
 */
const BOUND_SIGNER_NAME = 'message-signer';
const CURVE = 'secp384r1';
const DIGEST = 'sha384';
const COORDINATE_BYTES = 48;
/** DER of two numbers of 384 bits. */
export const MAX_SIGNATURE_BYTES = 104;

/** ECDSA on P-384 with SHA-384, as suite 0x0578 of the AWS Encryption SDK says, by a key that is made for one message. */
export class MessageSigner {
  /** Base64 of a compressed point. */
  readonly publicKey: string;
  readonly #privateKey: KeyObject;
  readonly #sign = createSign(DIGEST);

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: CURVE });
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    const point = Buffer.concat([Uint8Array.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
    this.publicKey = (ECDH.convertKey(point, CURVE, undefined, undefined, 'compressed') as Buffer).toString('base64');
    this.#privateKey = privateKey;
  }

  /** All of the message, in its order. */
  update(bytes: Buffer): void {
    this.#sign.update(bytes);
  }

  /** What the message ends with: u16 length ‖ DER. */
  footer(): Buffer {
    const signature = this.#sign.sign(this.#privateKey);
    return Buffer.concat([Uint8Array.of(0, signature.length), signature]);
  }
}

export class MessageVerifier {
  readonly #publicKey: KeyObject;
  readonly #verify = createVerify(DIGEST);

  /** @throws DecryptFailed for what is no point of the curve in its one spelling */
  constructor(publicKey: string) {
    try {
      const compressed = Buffer.from(publicKey, 'base64');
      if (compressed.length !== 1 + COORDINATE_BYTES || compressed.toString('base64') !== publicKey) throw notAMessage();
      const point = ECDH.convertKey(compressed, CURVE, undefined, undefined, 'uncompressed') as Buffer;
      const [x, y] = [point.subarray(1, 1 + COORDINATE_BYTES), point.subarray(1 + COORDINATE_BYTES)].map((one) =>
        one.toString('base64url'),
      );
      this.#publicKey = createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-384', x: x!, y: y! } });
    } catch {
      throw notAMessage();
    }
  }

  update(bytes: Buffer): void {
    this.#verify.update(bytes);
  }

  /** @throws DecryptFailed */
  requireSignature(signature: Buffer): void {
    if (!this.#verify.verify(this.#publicKey, signature)) throw notAMessage();
  }
}

/** The context that a data key is bound to. @throws InvalidCall for one that says itself who signed */
export function boundTo(context: EncryptionContext, signer: string | undefined): EncryptionContext {
  if (signer === undefined) return context;
  if (Object.hasOwn(context, BOUND_SIGNER_NAME))
    throw new InvalidCall(`The context of a signed message has no ${BOUND_SIGNER_NAME}.`, { code: 'invalid-request' });
  return { ...context, [BOUND_SIGNER_NAME]: signer };
}
