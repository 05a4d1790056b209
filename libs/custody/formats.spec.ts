import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RuleRow, WrappedKeyVersion } from '#core';
import fc from 'fast-check';
import { z } from 'zod';
import { bindingMessage, ruleMessage } from './binding-message.js';
import { checkpointBody, signedNote } from './checkpoint-note.js';

const vectors = (name: string): unknown => JSON.parse(readFileSync(join(process.cwd(), 'test/vectors', name), 'utf8'));
const hex = (text: string) => Buffer.from(text, 'hex');

const fields = z.record(z.string(), z.string());
const versionVector = z.strictObject({ desc: z.string(), version: fields, want: z.string() });
const ruleVector = z.strictObject({ desc: z.string(), rule: fields, key: z.string(), want: z.string(), mac: z.string() });
const bindings = z.array(z.union([versionVector, ruleVector])).parse(vectors('custody-binding.json'));
const versions = bindings.filter((vector) => 'version' in vector);
const rules = bindings.filter((vector) => 'rule' in vector);
const rowOf = (rule: z.infer<typeof fields>) => ({ ...rule, digest: hex(rule.digest ?? '') }) as unknown as RuleRow;

describe('the message under a key version’s MAC', () => {
  it.each(versions)('$desc', ({ version, want }) => {
    const { publicKey } = version;
    const halves = { blob: hex(version.blob ?? ''), ...(publicKey !== undefined && { publicKey: hex(publicKey) }) };
    const row = { ...version, ...halves } as unknown as WrappedKeyVersion;
    expect(bindingMessage(row).toString('hex')).toBe(want);
  });
});

describe('the message under a rule’s MAC', () => {
  it.each(rules)('$desc', ({ rule, key, want, mac }) => {
    const message = ruleMessage(rowOf(rule));
    expect(message.toString('hex')).toBe(want);
    expect(createHmac('sha256', hex(key)).update(message).digest('hex')).toBe(mac);
  });

  const text = fc.string({ maxLength: 40, unit: 'binary' });
  const digest = fc.uint8Array({ maxLength: 40 });
  const anyRule = fc.record({ tenant: text, kind: text, id: text, digest }) as unknown as fc.Arbitrary<RuleRow>;
  const texts = { tenant: text, keyId: text, versionId: text, spec: text, usage: text, origin: text, protectionLevel: text, logId: text };
  const anyVersion = fc.record({ ...texts, blob: digest }) as unknown as fc.Arbitrary<Omit<WrappedKeyVersion, 'mac'>>;

  it('differs between any two rules', () => {
    const identity = ({ tenant, kind, id, digest: bytes }: RuleRow) =>
      JSON.stringify([tenant, kind, id, Buffer.from(bytes).toString('hex')]);
    fc.assert(
      fc.property(anyRule, anyRule, (one, other) => {
        expect(ruleMessage(one).equals(ruleMessage(other))).toBe(identity(one) === identity(other));
      }),
    );
  });

  it('is never that of a key version, whatever either says', () => {
    fc.assert(
      fc.property(anyRule, anyVersion, (rule, version) => {
        expect(formatOf(ruleMessage(rule))).toBe('keyward.rule/1');
        expect(formatOf(bindingMessage(version))).toBe('keyward.key-version/1');
      }),
    );
  });
});

describe('the messages under the binding key’s MACs', () => {
  it('differ between all vectors', () => {
    expect(new Set(bindings.map(({ want }) => want)).size).toBe(bindings.length);
  });
});

/** The first field: two messages that differ in it differ. */
const formatOf = (message: Buffer): string => message.subarray(4, 4 + message.readUInt32BE()).toString();

describe('a checkpoint as a signed note', () => {
  const note = z.object({ desc: z.string(), origin: z.string(), size: z.string(), root: z.string() });
  const good = note.extend({ publicKey: z.string(), signature: z.string(), want: z.string() });
  const cases = z.array(z.union([good, note.extend({ wantErr: z.string() })])).parse(vectors('custody-checkpoint-note.json'));

  it.each(cases)('$desc', (vector) => {
    const body = () => checkpointBody(vector.origin, BigInt(vector.size), hex(vector.root));
    if ('wantErr' in vector) return expect(body).toThrow(RangeError);
    expect(signedNote(vector.origin, body(), [{ publicKey: hex(vector.publicKey), signature: hex(vector.signature) }])).toBe(vector.want);
  });
});
