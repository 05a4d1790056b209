import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { KeyId, ServiceName } from '#contract';
import { BoundRules, Permit, policyRow } from '#core';
import { type BindingRotationParts, rotateBindingKey } from '../../apps/worker/binding-rotation.js';
import { BOUND_ROWS } from '../../migrations/bound-rows.js';
import { dyingAfter } from './dying.js';
import { anImportedKey, wrappedFor } from './importing.js';
import { ACME, freshAlias, GLOBEX, KeyWorld, refusal } from './key-world.js';
import { round } from './round.js';

const rethrow = (error: unknown) => {
  throw error;
};

describe('the rotation of the binding key', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  }, 60_000);
  afterAll(() => world?.stop());

  const sql = async (text: string, ...values: unknown[]) =>
    await world.database.as('superuser', async (client) => (await client.query(text, values)).rows);
  const worker = (parts: Partial<BindingRotationParts> = {}, onFailure: (error: unknown) => void = rethrow) =>
    round([rotateBindingKey({ bindings: world.worker.bindings, custody: world.custody, settledMs: 0, ...parts })], onFailure);
  const state = () => world.operator('DescribeBindingKey');
  const sealed = async (keyId: KeyId) => {
    const answer = await world.service('GenerateDataKeyWithoutPlaintext', { keyId });
    if (!('ciphertext' in answer)) throw new Error('A dry run.');
    return Buffer.from(answer.ciphertext);
  };
  const until = async (isSo: () => Promise<boolean>) => {
    for (let times = 0; times < 20 && !(await isSo()); times++) await worker();
    expect(await isSo()).toBe(true);
  };
  const rebound = () => until(async () => (await state()).rebound);
  const over = () => until(async () => !(await state()).rotating);
  it('binds everything anew, of every kind, and ends the older key when an operator says so', async () => {
    const [cipher, rotating, ended] = [await world.create(), await world.rotating(1, 90), await world.create({ keySpec: 'EC_P256' })];
    await world.admin('CreateAlias', { alias: freshAlias(), keyId: cipher.keyId });
    await world.admin('CreateKeyVersion', { keyId: cipher.keyId });
    const move = { keyId: cipher.keyId, fromVersionId: cipher.primaryVersion, itemsPerSecond: 1 };
    await world.admin('StartRewrap', { ...move, mode: 'upload', service: 'billing' as ServiceName });
    await world.admin('StartRewrap', { ...move, mode: 'secrets' });
    const imported = await anImportedKey(world);
    await world.admin('DeleteImportedKeyMaterial', { keyId: imported.keyId });
    await wrappedFor(world, imported.keyId);
    await world.admin('ScheduleKeyDeletion', { keyId: ended.keyId, pendingDays: 7 });
    await world.endWait(ended.keyId);
    await world.destructions().round();
    await world.stopped({ scope: 'service', service: 'search' });
    const policy = {
      version: 1,
      digest: 'd',
      author: 'anna',
      publishedAt: new Date().toISOString(),
      document: { schema: 'keyward.policy/1', roles: {}, grants: [], guardrails: [] },
    };
    const mac = await world.custody.bindRule(new Permit({ operation: 'PutPolicy', tenant: ACME }), policyRow(ACME, policy as never));
    await sql(
      `INSERT INTO keyward.policy_version VALUES ('acme', 1, 'd', 'anna', $1, $2, $3)`,
      policy.publishedAt,
      policy.document,
      Buffer.from(mac),
    );
    const ciphertext = await sealed(cipher.keyId);

    const before = await macs();
    expect(await world.operator('RotateBindingKey')).toMatchObject({ number: 1, rotating: true, rebound: false });
    expect((await refusal(world.operator('RotateBindingKey'))).code).toBe('state-unchangeable');
    expect((await refusal(world.operator('RetireBindingKey'))).code).toBe('state-unchangeable');
    expect(world.custody.bindingKeys).toEqual([0, 1]);
    // Made meanwhile: bound by the new one.
    const later = await world.create();
    await sealed(later.keyId);
    await rebound();
    // The credentials of this world were bound by nobody.
    const credentials = Number((await sql('SELECT count(*) FROM keyward.credential'))[0].count);
    expect(await state()).toMatchObject({ left: 0, rebound: true, retired: false, broken: credentials });
    const anew = await macs();
    for (const { kind } of BOUND_ROWS) {
      if (kind === 'credential' || kind === 'identity-provider' || kind === 'lifted-stops' || kind.startsWith('secret')) continue;
      expect([kind, before.get(kind)?.length]).toEqual([kind, expect.any(Number)]);
      expect([kind, before.get(kind)?.filter((one) => anew.get(kind)?.includes(one))]).toEqual([kind, []]);
    }
    for (let times = 0; times < 3; times++) await worker();
    expect(world.custody.bindingKeys).toEqual([0, 1]);

    await world.operator('RetireBindingKey');
    await over();
    expect(world.custody.bindingKeys).toEqual([1]);
    await expect(world.service('Decrypt', { ciphertext })).resolves.toBeDefined();
    await sealed(rotating.keyId);
    const rules = new BoundRules(world.worker.rules, world.custody);
    expect(await rules.rules(ACME)).toMatchObject({ policy: { version: 1 }, stops: [{ stoppedBy: 'anna' }] });
    const tombstones = await world.worker.tombstones.tombstonesSince({ since: new Date(0), afterKey: '' }, 10);
    for (const tombstone of tombstones) await world.custody.keepTombstone(tombstone);
    const told = await sql(
      `SELECT convert_from(bytes, 'UTF8')::json -> 'change' AS change FROM keyward.trail_record WHERE op = 'DestroyBindingKey'`,
    );
    expect(told).toEqual([{ change: { number: 1, destroyed: 0 } }]);
  });

  /** Every MAC that there is, by kind. */
  async function macs(): Promise<ReadonlyMap<string, string[]>> {
    const found = new Map<string, string[]>();
    for (const { kind, table, mac, which } of BOUND_ROWS) {
      const rows: { mac: Buffer }[] = await sql(`SELECT v.${mac} AS mac FROM keyward.${table} v WHERE ${which}`);
      found.set(
        kind,
        rows.map((row) => row.mac.toString('hex')),
      );
    }
    return found;
  }

  it('is felt by no call, whatever runs meanwhile', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => world.create()));
    const foreign = await world.create({}, GLOBEX);
    const ciphertexts = await Promise.all(keys.map(({ keyId }) => sealed(keyId)));
    const before = world.custody.bindingKeys[0]!;
    let isOver = false;
    const loop = (work: (at: number) => Promise<unknown>) => {
      const one = { calls: 0 };
      return {
        one,
        ended: (async () => {
          while (!isOver) await work(one.calls++);
        })(),
      };
    };
    const loops = [
      ...[0, 1].map((caller) => loop((at) => world.service('Decrypt', { ciphertext: ciphertexts[(at + caller) % 8]! }))),
      loop((at) => world.admin('TagKey', { keyId: foreign.keyId, tags: { at: `${at}` } }, GLOBEX)),
    ];
    const failed = Promise.all(loops.map(({ ended }) => ended)).then(() => undefined);
    /** Nobody's call is under way that began before: as it is where a rotation takes minutes, and not the moment that it takes here. */
    const later = async () => {
      const from = loops.map(({ one }) => one.calls);
      const moved = async () => {
        while (loops.some(({ one }, at) => one.calls < from[at]! + 2)) await sleep(5);
      };
      await Promise.race([moved(), failed]);
    };
    for (let times = 0; times < 2; times++) {
      for (const step of [() => world.operator('RotateBindingKey'), rebound, () => world.operator('RetireBindingKey'), over]) {
        await step();
        await later();
      }
    }
    isOver = true;
    await failed;
    expect(world.custody.bindingKeys).toEqual([before + 2]);
  });

  it('goes on where it was, whoever is killed between whichever two steps', async () => {
    const keys = [await world.create(), await world.rotating(1, 90)];
    const ciphertext = await sealed(keys[0]!.keyId);
    let [number] = world.custody.bindingKeys as [number];
    const lives = fc.array(fc.nat({ max: 24 }), { minLength: 1, maxLength: 6 });
    const dies = async (deaths: readonly number[]) => {
      for (const steps of deaths) {
        const { bindings, custody } = dyingAfter(steps, { bindings: world.worker.bindings, custody: world.custody });
        await worker({ bindings, custody }, () => undefined).catch(() => undefined);
        await expect(world.service('Decrypt', { ciphertext })).resolves.toBeDefined();
      }
    };
    await fc.assert(
      fc.asyncProperty(lives, lives, async (first, second) => {
        await world.operator('RotateBindingKey');
        await dies(first);
        await rebound();
        await world.operator('RetireBindingKey');
        await dies(second);
        await over();
        number += 1;
        expect(world.custody.bindingKeys).toEqual([number]);
        for (const { keyId } of keys) await sealed(keyId);
        const records = await sql(`SELECT count(*)::int AS n FROM keyward.trail_record WHERE op = 'DestroyBindingKey'`);
        expect(records).toEqual([{ n: number }]);
      }),
      { numRuns: 6 },
    );
  });

  it('looks again at a MAC that somebody wrote down late', async () => {
    const { keyId } = await world.create();
    const [row] = await sql('SELECT names_mac FROM keyward.cmk WHERE key_id = $1', keyId);
    await world.operator('RotateBindingKey');
    await rebound();
    await sql('UPDATE keyward.cmk SET names_mac = $2 WHERE key_id = $1', keyId, row.names_mac);
    expect(await state()).toMatchObject({ left: 1 });
    await world.operator('RetireBindingKey');
    await over();
    await sealed(keyId);
  });

  it('makes nothing genuine that was not, and is not ended by who writes SQL', async () => {
    const { keyId } = await world.create();
    await sql(`UPDATE keyward.cmk SET tags = '{"forged":"yes"}' WHERE key_id = $1`, keyId);
    await world.operator('RotateBindingKey');
    await rebound();
    expect((await refusal(sealed(keyId))).code).toBe('unavailable');
    await sql(`UPDATE keyward.binding_key SET retire_mac = decode(repeat('00', 32), 'hex')`);
    const failures: unknown[] = [];
    await worker({}, (error) => failures.push(error));
    const both = world.custody.bindingKeys;
    expect([failures.length, both.length]).toEqual([1, 2]);
    await world.operator('RetireBindingKey');
    await over();
    expect(world.custody.bindingKeys).toEqual(both.slice(1));
    // What was forged when it was looked at is nothing by the newer key, as it was by the older one.
    await sql('UPDATE keyward.cmk SET tags = $2 WHERE key_id = $1', keyId, {});
    expect((await refusal(sealed(keyId))).code).toBe('unavailable');
  });

  it('covers every column of every table that holds a MAC', async () => {
    const columns = await sql(
      `SELECT c.table_name || '.' || c.column_name AS name FROM information_schema.columns c JOIN pg_class t ON t.relname = c.table_name
         WHERE c.table_schema = 'keyward' AND t.relnamespace = 'keyward'::regnamespace AND t.relkind = 'r' AND c.column_name ~ '(^|_)mac$' ORDER BY 1`,
    );
    const others = [
      // Under the pepper, not under the binding key.
      'credential.mac',
      // Of the newer key, and gone with the rotation.
      'binding_key.retire_mac',
    ];
    // A table that comes to this list needs its row in migrations/bound-rows.ts (in a migration of its own), and in binding-store.ts.
    expect(columns.map(({ name }) => name)).toEqual([...BOUND_ROWS.map(({ table, mac }) => `${table}.${mac}`), ...others].sort());
  });
});
