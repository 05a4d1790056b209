import type { KeyDescription } from '#contract';
import { tellWear } from '../../apps/worker/key-wear.js';
import { anImportedKey } from './importing.js';
import { COUNTS_AS_SEALED, countUnseenSeals } from '#persistence/backup';
import { KeyWorld, refusal } from './key-world.js';
import { round } from './round.js';

const HALF = 2 ** 31;
const LIMIT = 3 * 2 ** 30;

describe('a key that has sealed', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const sealed = async ({ primaryVersion, keyId }: KeyDescription, times: number) => {
    await world.database.as('superuser', (client) =>
      client.query(
        `INSERT INTO keyward.key_wear (tenant_id, version_id, key_id, sealed) VALUES ('acme', $1, $2, $3)
           ON CONFLICT (tenant_id, version_id) DO UPDATE SET sealed = excluded.sealed`,
        [primaryVersion, keyId, times],
      ),
    );
    // Several workers, and again: what is told is told once.
    const kinds = [1, 2].map(() => tellWear({ wear: world.worker.notices }));
    const rethrow = (error: unknown) => {
      throw error;
    };
    for (let times = 0; times < 2; times++) await round(kinds, rethrow);
  };
  const told = async ({ keyId }: KeyDescription) => {
    const { rows } = await world.database.as('superuser', (client) =>
      client.query<{ op: string }>(
        `SELECT op FROM keyward.trail_record WHERE key_id = $1 AND op IN ('KeyWorn', 'KeyExhausted') ORDER BY seq`,
        [keyId],
      ),
    );
    return rows.map(({ op }) => op);
  };
  const context = { tenant: 'acme' };
  const seal = ({ keyId }: KeyDescription) => world.service('Encrypt', { keyId, plaintext: Buffer.from('x'), encryptionContext: context });

  it.each(['made here', 'imported'] as const)('as often as is safe seals no more, and opens all that it sealed: %s', async (origin) => {
    const key = await (origin === 'imported' ? anImportedKey(world) : world.create());
    const ciphertext = sealedBy(await seal(key));
    await sealed(key, HALF - 1);
    expect(await told(key)).toEqual([]);
    await sealed(key, HALF);
    await sealed(key, LIMIT - 1);
    expect(await told(key)).toEqual(['KeyWorn']);
    await seal(key);
    await sealed(key, LIMIT);
    expect(await told(key)).toEqual(['KeyWorn', 'KeyExhausted']);

    const { keyId } = key;
    const dataKey = { keyId, numberOfBytes: 32 as const, encryptionContext: context };
    const sealings: Record<string, () => Promise<unknown>> = {
      Encrypt: () => seal(key),
      GenerateDataKey: () => world.service('GenerateDataKey', dataKey),
      GenerateDataKeyWithoutPlaintext: () => world.service('GenerateDataKeyWithoutPlaintext', dataKey),
      ReEncryptTo: () =>
        world.reEncrypt({ ciphertext, sourceEncryptionContext: context, destinationKeyId: keyId, destinationEncryptionContext: context }),
    };
    for (const [operation, call] of Object.entries(sealings)) {
      const { code, why } = await refusal(call());
      expect([operation, code, why]).toEqual([operation, 'key-exhausted', 'key-state']);
    }
    expect(await world.service('Decrypt', { ciphertext, encryptionContext: context })).toMatchObject({ plaintext: Buffer.from('x') });
    expect(await world.admin('DescribeKey', { keyId }, undefined, 1)).toMatchObject({ exhausted: true });
    const listed = await world.admin('ListKeys', { limit: 1000, cursor: undefined });
    expect(listed.items.find((item) => item.keyId === keyId)).toMatchObject({ exhausted: true });
    if (origin === 'imported') return;
    expect(await world.admin('CreateKeyVersion', { keyId })).not.toHaveProperty('exhausted');
    await seal(key);
  });

  it('is told only when it seals no more where a policy has it rotated before that', async () => {
    const key = await world.rotating(1, 90);
    await sealed(key, HALF);
    expect(await told(key)).toEqual([]);
    await sealed(key, LIMIT);
    expect(await told(key)).toEqual(['KeyExhausted']);
    await world.keyRotations().round();
    await seal(key);
  });

  it('counts as having sealed more in rows that are restored an hour after they were read, so that what was not seen is safe, too', async () => {
    const [used, unused, worn, pair] = await Promise.all([
      world.create(),
      world.create(),
      world.create(),
      world.create({ keySpec: 'EC_P256' }),
    ]);
    await sealed(used, 1);
    await sealed(worn, LIMIT - 1);
    const counted = async ({ primaryVersion }: KeyDescription) => {
      const { rows } = await world.database.as('superuser', (client) =>
        client.query<{ sealed: string }>('SELECT sealed FROM keyward.key_wear WHERE version_id = $1', [primaryVersion]),
      );
      return Number(rows[0]?.sealed ?? 0);
    };
    const counts = async () => await Promise.all([used, unused, worn, pair].map(counted));
    const read = new Date('2026-01-01T00:00:00Z');
    const restoredAfter = (ms: number) =>
      world.database.as('superuser', (client) => countUnseenSeals(client, read, new Date(read.getTime() + ms)));
    await restoredAfter(3_600_000);
    expect(await counts()).toEqual([1, 0, LIMIT - 1, 0]);
    // A clock that went back proves nothing.
    for (const ms of [3_600_001, -1]) {
      await sealed(used, 1);
      await restoredAfter(ms);
      expect(await counts()).toEqual([COUNTS_AS_SEALED, COUNTS_AS_SEALED, LIMIT - 1, 0]);
    }
    // Up to the limit before and after, and what is sealed before it is counted.
    expect(LIMIT + (LIMIT - COUNTS_AS_SEALED) + 2 ** 29).toBe(2 ** 32);
    await sealed(used, COUNTS_AS_SEALED);
    expect(await told(used)).toEqual(['KeyWorn']);
    await seal(used);
  });
});

function sealedBy(answer: object): Buffer<ArrayBuffer> {
  if ('ciphertext' in answer && answer.ciphertext instanceof Uint8Array) return Buffer.from(answer.ciphertext);
  throw new Error('It sealed nothing.');
}
