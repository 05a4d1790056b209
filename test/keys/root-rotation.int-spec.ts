import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { KeyId } from '#contract';
import { KeyBindingBroken } from '#core';
import { type RootRotationParts, rotateRoots } from '../../apps/worker/root-rotations.js';
import { dyingAfter } from './dying.js';
import { ACME, KeyWorld, refusal } from './key-world.js';
import { round } from './round.js';

describe("the rotation of a tenant's root", () => {
  let world: KeyWorld;
  beforeEach(async () => {
    world = await KeyWorld.start();
  }, 60_000);
  afterEach(() => world?.stop());

  const rethrow = (error: unknown) => {
    throw error;
  };
  const rotations = (parts: Partial<RootRotationParts> = {}, onFailure: (error: unknown) => void = rethrow) => ({
    round: () => round([rotateRoots({ roots: world.worker.roots, custody: world.custody, ...parts })], onFailure),
  });
  /** Two rounds: what is wrapped anew, and what goes. */
  const rotated = async () => {
    await world.admin('RotateRoot', undefined);
    for (let times = 0; times < 5 && (await world.admin('DescribeRoot', undefined)).rotating; times++) await rotations().round();
  };
  const sealed = async (keyId: KeyId) => {
    const answer = await world.service('GenerateDataKeyWithoutPlaintext', { keyId });
    if (!('ciphertext' in answer)) throw new Error('A dry run.');
    return Buffer.from(answer.ciphertext);
  };
  const rootsInRows = async () => {
    const { rows } = await world.database.as('superuser', (client) =>
      client.query<{ root: number }>('SELECT DISTINCT root FROM keyward.key_version WHERE length(blob) > 0 ORDER BY 1'),
    );
    return rows.map(({ root }) => root);
  };

  it('wraps every key anew, destroys the old root, and tells it; all keys go on', async () => {
    const [cipher, pair, disabled] = [await world.create(), await world.create({ keySpec: 'EC_P256' }), await world.create()];
    await world.admin('CreateKeyVersion', { keyId: cipher.keyId });
    const ciphertext = await sealed(cipher.keyId);
    await world.admin('DisableKey', { keyId: disabled.keyId });
    expect(await world.admin('DescribeRoot', undefined)).toEqual({ root: 0, rotating: false, left: 0 });
    expect(await world.admin('RotateRoot', undefined)).toMatchObject({ root: 1, rotating: true });
    expect((await refusal(world.admin('RotateRoot', undefined))).code).toBe('state-unchangeable');
    expect(await world.admin('DescribeRoot', undefined)).toMatchObject({ root: 1, rotating: true, left: 4 });
    // Made meanwhile: under the new root.
    const later = await world.create();
    expect(await rootsInRows()).toEqual([0, 1]);
    for (let times = 0; times < 2; times++) await rotations().round();
    expect(await world.admin('DescribeRoot', undefined)).toMatchObject({ root: 1, rotating: false, left: 0 });
    expect([world.custody.rootsOf(ACME), await rootsInRows()]).toEqual([[1], [1]]);
    await expect(world.service('Decrypt', { ciphertext })).resolves.toMatchObject({ keyId: cipher.keyId });
    await expect(
      world.service('Sign', { keyId: pair.keyId, message: Buffer.from('m'), algorithm: 'ECDSA_SHA_256' }),
    ).resolves.toBeDefined();
    await world.admin('EnableKey', { keyId: disabled.keyId });
    for (const { keyId } of [disabled, later]) await expect(sealed(keyId)).resolves.toBeDefined();
    const { rows } = await world.database.as('superuser', (client) =>
      client.query(`SELECT convert_from(bytes, 'UTF8')::json -> 'change' AS change FROM keyward.trail_record WHERE op = 'RetireRoot'`),
    );
    expect(rows).toEqual([{ change: { root: 1, destroyed: 0 } }]);
    await rotated();
    expect(world.custody.rootsOf(ACME)).toEqual([2]);
    await expect(world.service('Decrypt', { ciphertext })).resolves.toBeDefined();
  });

  it('keeps nobody from decrypting meanwhile', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => world.create()));
    const ciphertexts = await Promise.all(keys.map(({ keyId }) => sealed(keyId)));
    let [decrypted, isOver] = [0, false];
    const decrypting = Promise.all(
      Array.from({ length: 4 }, async (_, caller) => {
        for (let at = caller; !isOver; at++, decrypted++) await world.service('Decrypt', { ciphertext: ciphertexts[at % 20]! });
      }),
    );
    for (let times = 0; times < 3; times++) {
      await rotated();
      await sleep(50);
    }
    isOver = true;
    await decrypting;
    expect(decrypted).toBeGreaterThan(50);
    expect(world.custody.rootsOf(ACME)).toEqual([3]);
  });

  describe('that began, and ended, while a key was being made', () => {
    /** A key whose material is there when the rotation begins, and whose row comes after its end. */
    const keyMadeMeanwhile = async () => {
      const made = Promise.withResolvers<undefined>();
      const over = Promise.withResolvers<undefined>();
      const original = world.custody.createKeyVersion.bind(world.custody);
      jest.spyOn(world.custody, 'createKeyVersion').mockImplementationOnce(async (...args) => {
        const version = await original(...args);
        made.resolve(undefined);
        await over.promise;
        return version;
      });
      const creating = world.create();
      await made.promise;
      await rotated();
      over.resolve(undefined);
      return await creating;
    };

    it('makes the key anew, under the new root', async () => {
      const { keyId } = await keyMadeMeanwhile();
      await expect(sealed(keyId)).resolves.toBeDefined();
      expect(await rootsInRows()).toEqual([1]);
    });

    it('would lose it, did the epoch not move', async () => {
      await world.database.as('superuser', (client) => client.query('ALTER TABLE keyward.tenant_root DISABLE TRIGGER moves_epoch'));
      const { keyId } = await keyMadeMeanwhile();
      expect((await refusal(sealed(keyId))).code).toBe('unavailable');
    });
  });

  it('goes on where it was, whoever is killed between whichever two steps', async () => {
    const keys = [await world.create(), await world.create({ keySpec: 'EC_P384' }), await world.create({ keySpec: 'HMAC_256' })];
    const ciphertext = await sealed(keys[0]!.keyId);
    let root = 0;
    const lives = fc.array(fc.nat({ max: 14 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(lives, async (deaths) => {
        await world.admin('RotateRoot', undefined);
        for (const steps of deaths) {
          const { roots, custody } = dyingAfter(steps, { roots: world.worker.roots, custody: world.custody });
          await rotations({ roots, custody }, () => undefined)
            .round()
            .catch(() => undefined);
          await expect(world.service('Decrypt', { ciphertext })).resolves.toBeDefined();
        }
        while ((await world.admin('DescribeRoot', undefined)).rotating) await rotations().round();
        root += 1;
        expect([world.custody.rootsOf(ACME), await rootsInRows()]).toEqual([[root], [root]]);
        await expect(world.service('GenerateMac', { keyId: keys[2]!.keyId, message: Buffer.from('m') })).resolves.toBeDefined();
      }),
      { numRuns: 12 },
    );
  });

  it('is held up by a row that somebody edited, and keeps the old root until then', async () => {
    const [edited, other] = [await world.create(), await world.create()];
    const edit = (spec: string) =>
      world.database.as('superuser', (client) =>
        client.query(`UPDATE keyward.key_version SET spec = '${spec}' WHERE key_id = '${edited.keyId}'`),
      );
    await edit('AES_128');
    await world.admin('RotateRoot', undefined);
    const failures: unknown[] = [];
    for (let times = 0; times < 3; times++) await rotations({}, (error) => failures.push(error)).round();
    expect(failures).toContainEqual(expect.any(KeyBindingBroken));
    expect(world.custody.rootsOf(ACME)).toEqual([0, 1]);
    await expect(sealed(other.keyId)).resolves.toBeDefined();
    await edit('AES_256');
    for (let times = 0; times < 2; times++) await rotations().round();
    expect(world.custody.rootsOf(ACME)).toEqual([1]);
    await expect(sealed(edited.keyId)).resolves.toBeDefined();
  });

  it('makes earlier destructions final: their receipts are signed anew', async () => {
    const { keyId } = await world.create();
    await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 });
    await world.endWait(keyId);
    await world.destructions().round();
    const before = await world.admin('GetShreddingReceipt', { keyId });
    expect(before.receipt).toContain('root-destroyed: no');
    await rotated();
    await world.destructions().round();
    const { receipt } = await world.admin('GetShreddingReceipt', { keyId });
    const { endedAt } = await world.admin('DescribeRoot', undefined);
    expect(receipt).toContain(`root-destroyed: ${endedAt}`);
    world.custody.calls.length = 0;
    await world.destructions().round();
    expect(world.custody.calls).toEqual([]);
  });

  it('covers every table that holds what a root wrapped', async () => {
    const { rows } = await world.database.as('superuser', (client) =>
      client.query<{ table_name: string; watched: boolean }>(
        `SELECT c.table_name, EXISTS (
            SELECT FROM pg_trigger t WHERE t.tgrelid = ('keyward.' || c.table_name)::regclass AND t.tgname = 'stamp_root' AND t.tgenabled = 'O') AS watched
          FROM information_schema.columns c WHERE c.table_schema = 'keyward' AND c.column_name LIKE '%blob%' ORDER BY 1`,
      ),
    );
    // A table that comes to this list needs functions as those of migration 0063, its place in end_rewrapping, and in the worker's rounds.
    expect(rows).toEqual([
      { table_name: 'key_import', watched: true },
      { table_name: 'key_version', watched: true },
    ]);
  });
});
