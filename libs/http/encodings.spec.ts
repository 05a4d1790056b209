import fc from 'fast-check';
import { dataKeyMembers, objectBody } from './answer-body.js';
import { base64Length, writeBase64 } from './base64.js';
import { membersKept, membersWritten } from './json-body.js';

it('writes base64 as Buffer does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const target = Buffer.alloc(base64Length(bytes.length));
      expect(writeBase64(target, 0, bytes)).toBe(target.length);
      expect(target.toString()).toBe(Buffer.from(bytes).toString('base64'));
    }),
  );
});

it('writes a data key as JSON.stringify would', () => {
  const lease = { maxAgeSeconds: 60, maxUses: 2 };
  const answer = { keyId: 'key_1', keyVersionId: 'kver_1', ciphertext: Buffer.from('abcde'), lease, plaintext: Buffer.from('key!') };
  const text = JSON.stringify({
    ...answer,
    ciphertext: answer.ciphertext.toString('base64'),
    plaintext: answer.plaintext.toString('base64'),
  });
  expect(objectBody(dataKeyMembers(answer as never)).toString()).toBe(text);
});

it('counts as many members in the text as survive parsing, for every JSON without duplicates', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const plain: unknown = JSON.parse(text);
      const again = JSON.stringify(plain);
      expect(membersWritten(again)).toBe(membersKept(plain));
    }),
  );
});

it.each(['{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', '[{"a":"\\\\","\\u0061":":"}]', '{"a":"x\\":","a":1}'])(
  'sees that %s names a member twice',
  (text) => {
    expect(membersWritten(text)).not.toBe(membersKept(JSON.parse(text)));
  },
);
