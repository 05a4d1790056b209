import { Envelope } from '../envelope.js';
import { DecryptFailed, InvalidCall, KeyDestroyed, KeyDisabled, Refused, Stopped } from '../errors.js';
import { Fields } from '../fields.js';
import { Recipient } from '../recipient.js';
import type { DataPlaneCalls } from '../testing/memory-keyward.js';

/** What a tenant does, as far as its service notices. */
export interface TenantsHand {
  readonly client: DataPlaneCalls;
  /** Two keys of tenant acme that are granted: `alias/invoices` and `alias/spare`. */
  disable(alias: string): Promise<void>;
  enable(alias: string): Promise<void>;
  stop(): Promise<void>;
  lift(): Promise<void>;
  /** Last: there is no way back. Absent where it takes days. */
  destroy?(alias: string): Promise<void>;
}

const tenant = 'acme';
const context = { purpose: 'invoice', row: '17' };
const scope = { tenant, keyId: 'alias/invoices', context };
const plaintext = Buffer.from('DE02 1001');
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** What a service can rely on, of a real platform as of its double in memory. */
export function dataPlaneContract(world: () => TenantsHand): void {
  const client = () => world().client;

  it('opens what it sealed, under the same context, and by its key', async () => {
    const { ciphertext, keyId, keyVersionId, record } = await client().encrypt({ ...scope, plaintext });
    expect([keyId, keyVersionId, typeof record]).toEqual([expect.stringMatching(/^key_/), expect.stringMatching(/^kver_/), 'number']);
    expect(text((await client().decrypt({ tenant, ciphertext, context, keyId })).plaintext)).toBe('DE02 1001');
    expect(ciphertext).toHaveLength(plaintext.length + 49);
  });

  it('opens nothing under another context, tenant or key, and nothing that was changed', async () => {
    const { ciphertext } = await client().encrypt({ ...scope, plaintext });
    const { keyId: spare } = await client().encrypt({ ...scope, keyId: 'alias/spare', plaintext });
    await expect(client().decrypt({ tenant, ciphertext, context: { ...context, row: '18' } })).rejects.toBeInstanceOf(DecryptFailed);
    await expect(client().decrypt({ tenant: 'globex', ciphertext, context })).rejects.toBeInstanceOf(Refused);
    await expect(client().decrypt({ tenant, ciphertext, context, keyId: spare })).rejects.toBeInstanceOf(DecryptFailed);
    const flipped = Uint8Array.from(ciphertext, (byte, at) => (at === ciphertext.length - 1 ? byte ^ 1 : byte));
    await expect(client().decrypt({ tenant, ciphertext: flipped, context })).rejects.toBeInstanceOf(DecryptFailed);
  });

  it('refuses what no grant names, and what cannot be', async () => {
    await expect(client().encrypt({ ...scope, keyId: 'alias/nowhere', plaintext })).rejects.toBeInstanceOf(Refused);
    await expect(client().encrypt({ ...scope, plaintext: new Uint8Array(0) })).rejects.toBeInstanceOf(InvalidCall);
    await expect(client().encrypt({ ...scope, context: { 'keyward:x': '1' }, plaintext })).rejects.toBeInstanceOf(InvalidCall);
  });

  it('answers data keys that open by their ciphertext, and batches in order', async () => {
    const made = await client().generateDataKey(scope);
    expect((await client().decrypt({ tenant, ciphertext: made.ciphertext, context })).plaintext).toEqual(made.plaintext);
    const items = [plaintext, Buffer.from('two')].map((one) => ({ keyId: scope.keyId, context, plaintext: one }));
    const sealed = await client().encryptBatch(tenant, [...items, { ...items[0]!, keyId: 'alias/nowhere' }]);
    expect(sealed.map((one) => 'error' in one && one.error.name)).toEqual([false, false, 'Refused']);
    const opened = await client().decryptBatch(
      tenant,
      sealed.flatMap((one) => ('error' in one ? [] : [{ ciphertext: one.ciphertext, context }])),
    );
    expect(opened.map((one) => ('error' in one ? one.error.name : text(one.plaintext)))).toEqual(['DE02 1001', 'two']);
  });

  it.each(['X25519', 'P-256'] as const)('answers to a recipient with a key of %s what it alone opens', async (kind) => {
    const [enclave, other] = [Recipient.generate(kind), Recipient.generate(kind)];
    const { publicKey: recipient } = enclave;
    const made = await client().generateDataKeyForRecipient({ ...scope, recipient });
    expect(made).not.toHaveProperty('plaintext');
    const dataKey = enclave.open(made);
    expect((await client().decrypt({ tenant, ciphertext: made.ciphertext, context })).plaintext).toEqual(dataKey);
    const sealed = await client().decryptForRecipient({ tenant, ciphertext: made.ciphertext, context, recipient });
    expect(enclave.open({ ...sealed, ciphertext: made.ciphertext })).toEqual(dataKey);
    const { ciphertext } = await client().encrypt({ ...scope, plaintext });
    for (const open of [() => other.open(made), () => enclave.open({ ...made, ciphertext })])
      expect(open).toThrow(expect.objectContaining({ code: 'bad-answer' }));
    const wrong = client().decryptForRecipient({ tenant, ciphertext, context, recipient: recipient.subarray(1) });
    await expect(wrong).rejects.toBeInstanceOf(InvalidCall);
  });

  it('serves fields, messages and spare keys; and says what the tenant did', async () => {
    const envelope = new Envelope(client(), { cache: false });
    const field = await new Fields(client()).of(scope).encrypt(plaintext);
    const message = await envelope.encrypt(plaintext, scope);
    const signed = await envelope.encrypt(plaintext, { ...scope, signed: true });
    const spared = await envelope.encrypt(plaintext, { ...scope, spareKeyId: 'alias/spare' });
    const openField = () => new Fields(client()).of(scope).decrypt(field);
    const table = new Map<string, Uint8Array>();
    const spareDataKeys = {
      put: async (name: string, key: Uint8Array) => void table.set(name, key),
      get: async (name: string) => table.get(name),
    };
    const sparedField = await new Fields(client(), { spareDataKeys }).of({ ...scope, spareKeyId: 'alias/spare' }).encrypt(plaintext);
    const openSpared = () => new Fields(client(), { spareDataKeys }).of(scope).decrypt(sparedField);
    await expect(new Fields(client()).of(scope).decrypt(sparedField)).resolves.toBeInstanceOf(Uint8Array);
    const open = (bytes: Uint8Array) => envelope.decrypt(bytes, { tenant, expectedContext: context });
    expect(text(await envelope.decrypt(signed, { tenant, expectedContext: context, signed: true }))).toBe('DE02 1001');
    const opens = async () => [text(await openField()), text(await openSpared()), text(await open(message)), text(await open(spared))];
    expect(await opens()).toEqual(Array(4).fill('DE02 1001'));

    await world().disable('alias/invoices');
    await expect(openField()).rejects.toBeInstanceOf(KeyDisabled);
    await expect(open(message)).rejects.toBeInstanceOf(KeyDisabled);
    expect([text(await open(spared)), text(await openSpared())]).toEqual(Array(2).fill('DE02 1001'));
    await world().disable('alias/spare');
    await expect(openSpared()).rejects.toBeInstanceOf(KeyDisabled);
    await world().enable('alias/spare');
    await world().enable('alias/invoices');

    await world().stop();
    for (const refused of [openField(), openSpared(), open(message), open(spared)]) await expect(refused).rejects.toBeInstanceOf(Stopped);
    await world().lift();
    expect(await opens()).toEqual(Array(4).fill('DE02 1001'));

    if (world().destroy === undefined) return;
    await world().destroy!('alias/invoices');
    await expect(openField()).rejects.toBeInstanceOf(KeyDestroyed);
    expect([text(await open(spared)), text(await openSpared())]).toEqual(Array(2).fill('DE02 1001'));
  });
}
