import * as fc from 'fast-check';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { DecryptFailed } from '#sdk';
import { UsageError } from '../exit-codes.js';
import { identityFrom, openArchive, recipientFrom, sealArchive } from './archive.js';
import { type Item, readItems, writtenItems } from './items.js';
import { fileHead } from './manifest.js';
import { joinedMemory } from './memory.js';

const folder = mkdtempSync(join(tmpdir(), 'kw-archive-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const talk = () => new PassThrough().resume();

/** A key pair in files: what `openssl genpkey` writes. */
function person(name: string, passphrase?: string) {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const sealed = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  writeFileSync(at(`${name}.pub`), publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(at(`${name}.key`), privateKey.export({ type: 'pkcs8', format: 'pem', ...sealed }), { mode: 0o600 });
  return { recipient: recipientFrom(at(`${name}.pub`)), identity: () => identityFrom(at(`${name}.key`), passphrase) };
}
const anna = person('anna');
const otto = person('otto', 'correct horse');

async function* items(...some: readonly Item[]): AsyncGenerator<Item> {
  yield* some;
}
const LONG = Buffer.alloc(2_500_000, 7);
const sealed = async (file: string) =>
  sealArchive(
    at(file),
    [anna.recipient, otto.recipient],
    { kind: 'test' },
    items({ head: { n: 1 }, body: [] }, { head: { n: 2 }, body: [LONG] }),
    {
      talk: talk(),
      expectedBytes: undefined,
    },
  );
const opened = (file: string, ...identities: Parameters<typeof openArchive>[1]) =>
  openArchive(
    at(file),
    identities,
    async ({ context, first, rest }) => {
      const bodies: Buffer[] = [];
      for await (const { body } of rest) bodies.push(await buffer(Readable.from(body)));
      return { context, first: first.head, bodies };
    },
    talk(),
  );

describe('an archive', () => {
  it('is opened by each of its recipients, and says what it is', async () => {
    const { bytes, sha256 } = await sealed('both');
    expect(readFileSync(at('both'))).toHaveLength(bytes);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    for (const { identity } of [anna, otto]) {
      const archive = await opened('both', identity());
      expect([archive.context, archive.first]).toEqual([{ kind: 'test' }, { n: 1 }]);
      expect(archive.bodies[0]!.equals(LONG)).toBe(true);
    }
  });

  it('is opened by nobody else, and never written over', async () => {
    await sealed('once');
    await expect(opened('once', person('eve').identity())).rejects.toThrow(UsageError);
    await expect(sealed('once')).rejects.toThrow(UsageError);
  });

  it('does not open when any byte was changed, or the end is missing', async () => {
    await sealed('whole');
    const whole = readFileSync(at('whole'));
    const places = [3, 60, 200, 1000, whole.length >> 1, whole.length - 1];
    for (const place of places) {
      const changed = Buffer.from(whole);
      changed[place]! ^= 1;
      writeFileSync(at('changed'), changed);
      await expect(opened('changed', anna.identity())).rejects.toThrow(/does not open|was sealed to/);
    }
    for (const length of [0, 10, 1_048_700, whole.length - 1]) {
      writeFileSync(at('changed'), whole.subarray(0, length));
      await expect(opened('changed', anna.identity())).rejects.toThrow(DecryptFailed);
    }
  });

  it('leaves nothing behind when it cannot be finished', async () => {
    const failing = async function* (): AsyncGenerator<Item> {
      yield { head: {}, body: [LONG] };
      throw new Error('the database went away');
    };
    await expect(sealArchive(at('half'), [anna.recipient], {}, failing(), { talk: talk(), expectedBytes: 1 })).rejects.toThrow('went away');
    expect(readdirSync(folder).filter((name) => name.startsWith('half'))).toEqual([]);
  });

  it('wants a public key to seal, and a passphrase where the private one has one', () => {
    expect(() => recipientFrom(at('anna.key'))).toThrow(/private/);
    expect(() => identityFrom(at('otto.key'), undefined)).toThrow(UsageError);
    expect(() => identityFrom(at('otto.key'), 'wrong')).toThrow(UsageError);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' });
    writeFileSync(at('rsa.pub'), rsa);
    expect(() => recipientFrom(at('rsa.pub'))).toThrow(/X25519 or P-256/);
  });
});

describe('the items of an archive', () => {
  const anItem = fc.record({ head: fc.record({ of: fc.string() }), body: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }) });

  it('come back as they were, however the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anItem, { maxLength: 5 }), fc.integer({ min: 1, max: 50 }), async (some, step) => {
        const bytes = await buffer(Readable.from(writtenItems(items(...some))));
        const cut = async function* () {
          for (let from = 0; from < bytes.length; from += step) yield bytes.subarray(from, from + step);
        };
        const back: object[] = [];
        for await (const { head, body } of readItems(cut())) back.push({ head, body: await buffer(Readable.from(body)) });
        expect(back).toEqual(some.map(({ head, body }) => ({ head, body: Buffer.concat(body) })));
      }),
      { numRuns: 60 },
    );
  });

  it.each(['../pin', 'token/../../etc/passwd', '/etc/passwd', 'token//x', 'token/.hidden', ''])('have no place outside: %s', (file) => {
    expect(fileHead.safeParse({ file }).success).toBe(false);
  });
});

describe('the memory of a custodian that outlived the archive', () => {
  const tree = (size: number) => `${JSON.stringify({ log: 'acme/log_1', origin: 'o', size: String(size), root: '00'.repeat(32) })}\n`;
  const kept = (name: string, text: string) => ({ path: `state/${name}`, bytes: Buffer.from(text) });

  it('adds its tombstones and knows how far logs were signed, unless it is older', () => {
    writeFileSync(at('tombstones.jsonl'), 'b\nhalf');
    writeFileSync(at('signed-checkpoints.jsonl'), tree(3) + tree(9));
    const text = (file: { readonly bytes: Uint8Array }) => Buffer.from(file.bytes).toString();
    expect(text(joinedMemory(kept('tombstones.jsonl', 'a\n'), folder))).toBe('a\nb\n');
    expect(text(joinedMemory(kept('signed-checkpoints.jsonl', tree(7)), folder))).toBe(tree(3) + tree(9));
    expect(() => joinedMemory(kept('signed-checkpoints.jsonl', tree(10)), folder)).toThrow(/older than the archive/);
    expect(text(joinedMemory(kept('tombstones.jsonl', 'a\n'), undefined))).toBe('a\n');
  });
});
