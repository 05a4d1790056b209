import { createHash } from 'node:crypto';
import { KeywardError } from './errors.js';

/** a ‖ b ‖ x ‖ y of the curve and its base point (GB/T 32918.5). */
const CURVE = Buffer.from(
  'fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc' +
    '28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93' +
    '32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7' +
    'bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0',
  'hex',
);
/** Of the signer, where no other was agreed on (GB/T 35276). */
const IDENTITY = Buffer.from('1234567812345678');
const POINT_BYTES = 64;
const SPKI_BYTES = 91;

/** What SM2 signs of a message: SM3(Z ‖ M), where Z is SM3 over identity, curve and public key (GB/T 32918.2, 5.5). 32 bytes. */
export function sm2Digest(spki: Uint8Array | undefined, message: Uint8Array): Uint8Array {
  if (spki?.length !== SPKI_BYTES) throw new KeywardError('internal', '', { reason: 'no public key of SM2' });
  const bits = Buffer.alloc(2);
  bits.writeUInt16BE(8 * IDENTITY.length);
  const z = createHash('sm3').update(bits).update(IDENTITY).update(CURVE).update(spki.subarray(-POINT_BYTES)).digest();
  return createHash('sm3').update(z).update(message).digest();
}
