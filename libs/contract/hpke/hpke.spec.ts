import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { RECIPIENT_KEYS, type RecipientKind, recipientKindOf } from '../recipient.js';
import { decapsulated, openAsRecipient, sealerTo } from './hpke.js';

interface Case {
  readonly desc: string;
  readonly privateKey: string;
  readonly recipient: string;
  readonly bytes: number;
  readonly of: string;
  readonly sealed: string;
}
const { cases } = JSON.parse(readFileSync('test/vectors/recipient-v1.json', 'utf8')) as { cases: readonly Case[] };
const hex = (text: string) => Buffer.from(text, 'hex');
const counting = (bytes: number) => Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => at % 251));
const privateKeyOf = (pkcs8: string) => createPrivateKey({ key: hex(pkcs8), format: 'der', type: 'pkcs8' });
const spkiOf = (kind: RecipientKind, point: string) => hex(RECIPIENT_KEYS[kind].spki + point);

/** RFC 9180, Appendix A.1.1 and A.3.1: the KEMs' own values, which do not depend on the cipher. */
const RFC_9180 = [
  {
    kind: 'X25519',
    privateKey: '302e020100300506032b656e042204204612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8',
    encapsulated: '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431',
    want: 'fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc',
  },
  {
    kind: 'P-256',
    privateKey: '30310201010420f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2a00a06082a8648ce3d030107',
    encapsulated:
      '04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4',
    want: 'c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8',
  },
] as const;

describe('what is sealed to a recipient', () => {
  it.each(RFC_9180)('rests on the KEM of RFC 9180: $kind', ({ kind, privateKey, encapsulated, want }) => {
    const type = kind === 'X25519' ? 'pkcs8' : 'sec1';
    const key = createPrivateKey({ key: hex(privateKey), format: 'der', type });
    expect(decapsulated(kind, key, hex(encapsulated)).toString('hex')).toBe(want);
  });

  it.each(cases)('opens as another implementation sealed it: $desc', ({ privateKey, recipient, bytes, of, sealed }) => {
    const key = privateKeyOf(privateKey);
    expect(createPublicKey(key).export({ format: 'der', type: 'spki' })).toEqual(hex(recipient));
    expect(openAsRecipient(key, hex(sealed), hex(of))).toEqual(counting(bytes));
  });

  it.each(cases.filter(({ bytes }) => bytes === 32))('does not open with any bit changed, cut or of something else: $desc', (one) => {
    const key = privateKeyOf(one.privateKey);
    const sealed = hex(one.sealed);
    for (let at = 0; at < sealed.length; at++) {
      const flipped = Uint8Array.from(sealed, (byte, place) => (place === at ? byte ^ 0x80 : byte));
      // The topmost bit of an X25519 point is none (RFC 7748 §5), and yet it is bound.
      expect(() => openAsRecipient(key, flipped, hex(one.of))).toThrow('not sealed to this key');
      expect(() => openAsRecipient(key, sealed.subarray(0, at), hex(one.of))).toThrow('not sealed to this key');
    }
    expect(() => openAsRecipient(key, sealed, hex(`${one.of}00`))).toThrow('not sealed to this key');
    const [other] = cases.filter(({ recipient }) => recipient.length === one.recipient.length && recipient !== one.recipient);
    expect(() => openAsRecipient(privateKeyOf(other!.privateKey), sealed, hex(one.of))).toThrow('not sealed to this key');
  });

  it.each(['X25519', 'P-256'] as const)('opens whatever was sealed, and never looks the same: %s', (kind) => {
    const pair = kind === 'X25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spki = pair.publicKey.export({ format: 'der', type: 'spki' });
    expect(recipientKindOf(spki)).toBe(kind);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 80 }), fc.uint8Array({ maxLength: 80 }), (plaintext, of) => {
        const [once, again] = [sealerTo(spki)(plaintext, of), sealerTo(spki)(plaintext, of)];
        expect(once).not.toEqual(again);
        expect(new Uint8Array(openAsRecipient(pair.privateKey, once, of))).toEqual(plaintext);
      }),
      { numRuns: 50 },
    );
  });

  it('is one message a secret', () => {
    const seal = sealerTo(hex(cases[0]!.recipient));
    seal(counting(3), counting(3));
    expect(() => seal(counting(3), counting(3))).toThrow();
  });

  it.each<[string, Buffer]>([
    ['a point of small order', spkiOf('X25519', '00'.repeat(32))],
    ['another point of small order', spkiOf('X25519', `01${'00'.repeat(31)}`)],
    ['a point that is not on the curve', spkiOf('P-256', `04${'01'.repeat(64)}`)],
    ['the point at infinity', spkiOf('P-256', '00'.repeat(65))],
    ['a compressed point', hex(`3039301306072a8648ce3d020106082a8648ce3d03010703220002${'11'.repeat(32)}`)],
    ['a byte more', Buffer.concat([hex(cases[0]!.recipient), Buffer.alloc(1)])],
    ['another kind of key', generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' })],
    ['nothing', Buffer.alloc(0)],
  ])('is refused to %s', (_, spki) => {
    expect(() => sealerTo(spki)).toThrow(RangeError);
  });
});
