import { type KeyId, PLATFORM } from '#contract';
import { KeyWorld, refusal } from './key-world.js';

describe('re-encryption', () => {
  let world: KeyWorld;
  let from: KeyId;
  let to: KeyId;
  const plaintext = Buffer.from('IBAN DE02');
  const purpose = { purpose: 'invoice' };

  beforeAll(async () => {
    world = await KeyWorld.start();
    [from, to] = [(await world.create()).keyId, (await world.create({ keySpec: 'AES_128' })).keyId];
  });
  afterAll(() => world?.stop());

  const sealed = async (encryptionContext = {}): Promise<Buffer<ArrayBuffer>> => {
    const answer = await world.service('Encrypt', { keyId: from, plaintext, encryptionContext });
    return 'ciphertext' in answer ? Buffer.from(answer.ciphertext) : Buffer.alloc(0);
  };
  const move = async (ciphertext: Buffer<ArrayBuffer>, more: object = {}) => {
    world.records.length = 0;
    return await world.reEncrypt({ ciphertext, destinationKeyId: to, ...more });
  };
  const told = () => world.records.map(({ op, outcome, key }) => [op, outcome, key?.id]);

  it('moves a ciphertext to another key and context, with a record of each, and wipes the plaintext', async () => {
    const answer = await move(await sealed(purpose), { sourceEncryptionContext: purpose, destinationEncryptionContext: { b: 'c' } });
    expect(told()).toEqual([
      ['ReEncryptFrom', 'succeeded', from],
      ['ReEncryptTo', 'succeeded', to],
    ]);
    expect(new Set(world.records.map(({ crypto }) => crypto?.context?.[0])).size).toBe(2);
    expect(world.custody.lastPlaintext).toEqual(Buffer.alloc(plaintext.length));
    const ciphertext = 'ciphertext' in answer ? Buffer.from(answer.ciphertext) : Buffer.alloc(0);
    const opened = await world.service('Decrypt', { ciphertext, encryptionContext: { b: 'c' }, keyId: to });
    expect('plaintext' in opened && Buffer.from(opened.plaintext)).toEqual(plaintext);
    expect(await refusal(world.service('Decrypt', { ciphertext, encryptionContext: purpose }))).toMatchObject({ code: 'decrypt-failed' });
  });

  it('moves to the newest version of the same key', async () => {
    const ciphertext = await sealed();
    const { primaryVersion } = await world.admin('CreateKeyVersion', { keyId: from });
    expect(await move(ciphertext, { destinationKeyId: from })).toMatchObject({ keyId: from, keyVersionId: primaryVersion });
  });

  it("answers a data key's ciphertext for a data key's ciphertext", async () => {
    const made = await world.service('GenerateDataKeyWithoutPlaintext', { keyId: from });
    const answer = await move('ciphertext' in made ? Buffer.from(made.ciphertext) : Buffer.alloc(0));
    expect('ciphertext' in answer && answer.ciphertext[3]).toBe(2);
  });

  it.each([
    ['another source context', { sourceEncryptionContext: { other: 'x' } }, 'decrypt-failed', [['ReEncryptFrom', 'failed']]],
    ['another source key than asserted', { sourceKeyId: 'alias/none' }, 'decrypt-failed', [['ReEncryptFrom', 'failed']]],
    [
      'an unknown destination',
      { destinationKeyId: 'alias/none' },
      'not-granted',
      [
        ['ReEncryptFrom', 'succeeded'],
        ['ReEncryptTo', 'refused'],
      ],
    ],
  ])('answers nothing for %s, and leaves no plaintext', async (_what, more, code, records) => {
    const ciphertext = await sealed();
    expect(await refusal(move(ciphertext, more))).toMatchObject({ code, record: expect.any(BigInt) });
    expect(told().map(([op, outcome]) => [op, outcome])).toEqual(records);
    expect(world.custody.lastPlaintext?.every((byte) => byte === 0)).toBe(true);
  });

  it('asks both in a dry run, and uses neither', async () => {
    const ciphertext = await sealed();
    world.custody.calls.length = 0;
    expect(await move(ciphertext, { dryRun: true })).toEqual({ keyId: to, keyVersionId: expect.any(String), dryRun: true });
    expect(told()).toHaveLength(2);
    expect(world.custody.calls.filter((call) => call !== 'checkBindings')).toEqual([]);
  });

  it.each([
    ['ReEncryptFrom', ['ReEncryptFrom']],
    ['ReEncryptTo', ['ReEncryptFrom', 'ReEncryptTo']],
  ] as const)('needs %s', async (missing, asked) => {
    const ciphertext = await sealed();
    const without = (operation: string) =>
      world.database.as('superuser', (client) =>
        client.query('UPDATE keyward.service SET operations = array_remove(operations || $1::text[], $2) WHERE tenant_id = $3', [
          ['ReEncryptFrom', 'ReEncryptTo'],
          operation,
          PLATFORM,
        ]),
      );
    await without(missing);
    expect(await refusal(move(ciphertext))).toMatchObject({ code: 'not-granted' });
    expect(told().map(([op]) => op)).toEqual(asked);
    await without('');
  });
});
