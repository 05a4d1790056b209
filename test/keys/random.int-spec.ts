import { generateRandomRequest } from '#contract';
import { KeyWorld, refusal } from './key-world.js';

describe('random bytes', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  it('come from custody, with a record that names no key', async () => {
    const answer = await world.service('GenerateRandom', { numberOfBytes: 48 });
    expect('plaintext' in answer && answer.plaintext).toHaveLength(48);
    const record = world.records.at(-1)!;
    expect(record).toMatchObject({
      op: 'GenerateRandom',
      outcome: 'succeeded',
      crypto: { plaintextSize: '≤64' },
      authz: { decision: 'allow' },
    });
    expect(record.key).toBeUndefined();
  });

  it('are not made in a dry run', async () => {
    world.custody.calls.length = 0;
    expect(await world.service('GenerateRandom', { numberOfBytes: 48, dryRun: true })).toEqual({ dryRun: true });
    expect(world.records.at(-1)).toMatchObject({ op: 'GenerateRandom', request: { dryRun: true } });
    expect(world.custody.calls).toEqual([]);
  });

  it('are wiped when their record cannot be made durable', async () => {
    await world.database.as('superuser', (client) =>
      client.query(`UPDATE keyward.tenant_head SET epoch = gen_random_uuid() WHERE tenant_id = 'acme'`),
    );
    const seen: (Uint8Array | undefined)[] = [];
    const made = world.custody.generateRandom.bind(world.custody);
    world.custody.generateRandom = async (permit, length) => {
      const bytes = await made(permit, length);
      seen.push(bytes);
      return bytes;
    };
    await world.service('GenerateRandom', { numberOfBytes: 32 });
    expect(seen).toHaveLength(2);
    expect(seen[0]!.every((byte) => byte === 0)).toBe(true);
    expect(seen[1]!.every((byte) => byte === 0)).toBe(false);
    expect(world.records.at(-1)).toMatchObject({ op: 'GenerateRandom', discarded: 1 });
  });

  it('fail as custody does', async () => {
    world.custody.down = true;
    try {
      expect(await refusal(world.service('GenerateRandom', { numberOfBytes: 32 }))).toMatchObject({ code: 'unavailable' });
    } finally {
      world.custody.down = false;
    }
  });

  it.each([
    [1, true],
    [1024, true],
    [0, false],
    [1025, false],
    [1.5, false],
  ])('are asked for %d at a time: %s', (numberOfBytes, valid) => {
    expect(generateRandomRequest.safeParse({ numberOfBytes }).success).toBe(valid);
  });
});
