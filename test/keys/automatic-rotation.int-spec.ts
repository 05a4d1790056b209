import type { KeyId, StopTarget } from '#contract';
import { KeywardError, type RotationOrder } from '#core';
import { NotNow } from '../../apps/worker/jobs/job-kind.js';
import { dyingAfter } from './dying.js';
import { GLOBEX, KeyWorld } from './key-world.js';

const DAY_MS = 86_400_000;

describe('the automatic rotation of keys', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const versionsOf = async (keyId: KeyId) => {
    const { items } = await world.admin('ListKeyVersions', { keyId, limit: 10, cursor: undefined });
    return items.map(({ keyVersionId, primary }) => [keyVersionId, primary] as const);
  };
  const recordsOf = async (keyId: KeyId) => {
    const { rows } = await world.database.as('superuser', (client) =>
      client.query<{ body: object }>(
        `SELECT convert_from(bytes, 'UTF8')::json AS body FROM keyward.trail_record WHERE op = 'RotateKey' AND key_id = $1`,
        [keyId],
      ),
    );
    return rows.map(({ body }) => body);
  };
  const sealed = async (keyId: KeyId) => {
    const answer = await world.service('GenerateDataKeyWithoutPlaintext', { keyId });
    if (!('ciphertext' in answer)) throw new Error('A dry run.');
    return answer;
  };
  /** As the SDK does: what came between two changes of the rules, or was too much for a busy machine, is asked again. */
  const settled = async <Answer>(ask: () => Promise<Answer>, tries = 1000): Promise<Answer> => {
    try {
      return await ask();
    } catch (error) {
      if (tries === 0 || !(error instanceof KeywardError && error.code === 'unavailable')) throw error;
      return await settled(ask, tries - 1);
    }
  };
  /** Versions and records of one key must agree: one record for each version after the first. */
  const count = async (keyId: KeyId) => {
    const [versions, records] = [await versionsOf(keyId), await recordsOf(keyId)];
    expect(records).toHaveLength(versions.length - 1);
    expect(versions.filter(([, primary]) => primary)).toHaveLength(1);
    return versions.length;
  };

  it('gives a key that is due one version, tells it, and is due again an interval later', async () => {
    const { keyId, primaryVersion: first } = await world.rotating(100, 90);
    const old = await sealed(keyId);
    await world.keyRotations().round();
    await world.keyRotations().round();
    const second = (await versionsOf(keyId)).at(-1)![0];
    expect(await versionsOf(keyId)).toEqual([
      [first, false],
      [second, true],
    ]);
    expect(await count(keyId)).toBe(2);
    expect(await recordsOf(keyId)).toMatchObject([
      {
        ...{ op: 'RotateKey', category: 'management', outcome: 'succeeded', writer: 'keyward_worker' },
        actor: { type: 'worker', tenant: 'platform', principal: 'worker' },
        key: { id: keyId, versionId: second, spec: 'AES_256', origin: 'KEYWARD', state: 'Enabled' },
        authz: { decision: 'allow', ruleId: `rotation:${keyId}` },
        change: { primaryVersion: { before: first, after: second }, protectionLevel: 'SOFTWARE', rotationVersion: 1 },
        hsm: { serial: 'fake', firmware: '0.0' },
      },
    ]);
    const { nextRotationAt } = await world.admin('GetKeyRotation', { keyId });
    const wait = Date.parse(nextRotationAt!) - Date.now();
    expect(wait).toBeGreaterThan(89 * DAY_MS);
    expect(wait).toBeLessThanOrEqual(90 * DAY_MS);
    expect((await sealed(keyId)).keyVersionId).toBe(second);
    for (const { ciphertext } of [old, await sealed(keyId)])
      await expect(world.service('Decrypt', { ciphertext: Buffer.from(ciphertext) })).resolves.toMatchObject({ keyId });
  });

  it('rotates nothing that is not due, has no policy, or was rotated by hand in between', async () => {
    const [young, byHand, off] = [await world.rotating(10, 90), await world.rotating(100, 90), await world.rotating(100, 90)];
    await world.admin('CreateKeyVersion', { keyId: byHand.keyId });
    await world.admin('PutKeyRotation', { keyId: off.keyId, enabled: false, replaces: 1 });
    await world.keyRotations().round();
    for (const { keyId, versions } of [
      { ...young, versions: 1 },
      { ...byHand, versions: 2 },
      { ...off, versions: 1 },
    ]) {
      expect(await versionsOf(keyId)).toHaveLength(versions);
      expect(await recordsOf(keyId)).toEqual([]);
    }
  });

  it('waits while the key is disabled, and then rotates it at once', async () => {
    const { keyId } = await world.rotating(100, 90);
    await world.admin('DisableKey', { keyId });
    await world.keyRotations().round();
    expect(await count(keyId)).toBe(1);
    await world.admin('EnableKey', { keyId });
    await world.keyRotations().round();
    expect(await count(keyId)).toBe(2);
  });

  it.each([
    ['everything', () => ({ scope: 'everything' })],
    ['the key', (keyId) => ({ scope: 'key', keyId })],
  ] as const satisfies readonly (readonly [string, (keyId: KeyId) => StopTarget])[])(
    'waits while a stop of %s lasts, and is found as soon as it is lifted',
    async (_, target) => {
      const { keyId } = await world.rotating(100, 90);
      const [other, foreign] = [await world.rotating(100, 90), await world.rotating(100, 90, GLOBEX)];
      const stop = await world.stopped(target(keyId));
      expect(await world.admin('GetKeyRotation', { keyId })).toMatchObject({ status: 'Suspended', suspendedBy: 'stop' });
      await world.keyRotations().round();
      expect(await count(keyId)).toBe(1);
      expect(await count(other.keyId)).toBe(target(keyId).scope === 'key' ? 2 : 1);
      expect(await recordsOf(foreign.keyId)).toHaveLength(1);
      await stop.lift();
      await world.keyRotations().round();
      expect([await count(keyId), await count(other.keyId)]).toEqual([2, 2]);
    },
  );

  it('goes on under a stop of a service or of a label: a rotation is neither', async () => {
    const { keyId } = await world.rotating(100, 90);
    const stops = [
      await world.stopped({ scope: 'service', service: 'billing' }),
      await world.stopped({ scope: 'context', name: 'a', value: 'b' }),
    ];
    await world.keyRotations().round();
    expect(await count(keyId)).toBe(2);
    for (const stop of stops) await stop.lift();
  });

  it('does not accept what was decided before a stop, whenever that came', async () => {
    const { keyId } = await world.rotating(100, 90);
    let stop: Awaited<ReturnType<KeyWorld['stopped']>> | undefined;
    const { custody } = world;
    const late = {
      capabilities: () => custody.capabilities(),
      rotateKey: async (permit: Parameters<typeof custody.rotateKey>[0], order: RotationOrder) => {
        const made = await custody.rotateKey(permit, order);
        stop ??= await world.stopped({ scope: 'key', keyId });
        return made;
      },
    };
    const failures: unknown[] = [];
    await world.keyRotations({ custody: late, onFailure: (error) => failures.push(error) }).round();
    expect(failures).toMatchObject([{ code: 'stopped' }]);
    expect(await count(keyId)).toBe(1);
    await stop!.lift();
    await world.keyRotations().round();
    expect(await count(keyId)).toBe(2);
  });

  it('looks only where the database says, and believes only what the HSM bound', async () => {
    const [often, early] = [await world.rotating(10, 90), await world.rotating(10, 90)];
    const edit = (keyId: KeyId, set: string) =>
      world.database.as('superuser', (client) => client.query(`UPDATE keyward.key_rotation SET ${set} WHERE key_id = $1`, [keyId]));
    await edit(often.keyId, `next_at = now() - interval '1 day', interval_days = 7`);
    await edit(early.keyId, `next_at = now() - interval '1 day'`);
    const failures: unknown[] = [];
    await world.keyRotations({ onFailure: (error) => failures.push(error) }).round();
    expect(failures).toMatchObject([{ code: 'unavailable', reason: `binding-broken: key-rotation ${often.keyId}` }]);
    expect(await recordsOf(often.keyId)).toEqual([]);
    expect(await recordsOf(early.keyId)).toEqual([]);
    for (const { keyId } of [often, early]) await edit(keyId, 'next_at = NULL, interval_days = NULL');
  });

  it('is one version a due time, whoever else is at it and wherever one is killed', async () => {
    const keys = [];
    for (let made = 0; made < 8; made++) keys.push(await world.rotating(100, 90));
    const { custody } = world;
    const { rotations } = world.worker;
    const ignoring = { onFailure: () => undefined };
    for (let steps = 0; steps < 12; steps++)
      await world
        .keyRotations({ ...dyingAfter(steps, { custody, rotations }), ...ignoring })
        .round()
        .catch(() => undefined);
    // What one overtook is stale for the others, who find it again: each round at least one gets on.
    while ((await rotations.dueRotations()).length > 0) await Promise.all([1, 2, 3].map(() => world.keyRotations(ignoring).round()));
    for (const { keyId } of keys) expect(await count(keyId)).toBe(2);
  });

  it('finds one key of each tenant, rotates a lot of its tenant with it in one change, and leaves its place while the tenant has had its turn', async () => {
    const keys: KeyId[] = [];
    for (let made = 0; made < 34; made++) keys.push((await world.rotating(100, 90)).keyId);
    const foreign = await world.rotating(95, 90, GLOBEX);
    const found = await world.worker.rotations.dueRotations();
    expect(found.map(({ tenant, keyId }) => [tenant, keyId])).toEqual([
      ['acme', keys[0]],
      ['globex', foreign.keyId],
    ]);
    const left: unknown[] = [];
    const worker = world.keyRotations({ apartMs: 3_600_000, onFailure: (error) => left.push(error) });
    for (let round = 0; round < 2; round++) await worker.round();
    expect(left).toEqual([expect.any(NotNow)]);
    expect(await recordsOf(foreign.keyId)).toHaveLength(1);
    const { rows } = await world.database.as('superuser', (client) =>
      client.query<{ versions: number; transactions: number }>(
        `SELECT count(*)::integer AS versions, count(DISTINCT r.xmin::text)::integer AS transactions
          FROM keyward.trail_record r WHERE r.op = 'RotateKey' AND r.key_id = ANY ($1)`,
        [keys],
      ),
    );
    expect(rows).toEqual([{ versions: 32, transactions: 1 }]);
    await world.keyRotations().round();
    for (const keyId of keys) expect(await count(keyId)).toBe(2);
  });

  it('tells of each key of a lot why it failed, and rotates the others', async () => {
    const keys: KeyId[] = [];
    for (let made = 0; made < 5; made++) keys.push((await world.rotating(100, 90)).keyId);
    const edited = [keys[0]!, keys[3]!];
    const edit = (days: number) =>
      world.database.as('superuser', (client) =>
        client.query('UPDATE keyward.key_rotation SET interval_days = $1 WHERE key_id = ANY ($2)', [days, edited]),
      );
    await edit(89);
    const failures: unknown[] = [];
    await world.keyRotations({ onFailure: (error, of) => failures.push([of?.subject, (error as KeywardError).reason]) }).round();
    expect(new Map(failures as [])).toEqual(new Map(edited.map((keyId) => [keyId, `binding-broken: key-rotation ${keyId}`])));
    for (const keyId of keys) expect(await recordsOf(keyId)).toHaveLength(edited.includes(keyId) ? 0 : 1);
    await edit(90);
    await world.keyRotations().round();
    for (const keyId of edited) expect(await count(keyId)).toBe(2);
  });

  it('tries the first of a lot alone when a rule came in between, as a busy admin makes them', async () => {
    const keys: KeyId[] = [];
    for (let made = 0; made < 3; made++) keys.push((await world.rotating(100, 90)).keyId);
    const { rotations } = world.worker;
    const lots: number[] = [];
    const between = {
      dueRotations: rotations.dueRotations.bind(rotations),
      wornKeys: rotations.wornKeys.bind(rotations),
      root: rotations.root.bind(rotations),
      rotate: async (changes: Parameters<typeof rotations.rotate>[0]) => {
        lots.push(changes.length);
        if (lots.length === 1) await world.admin('UpdateKeyDescription', { keyId: keys[2]!, description: 'changed' });
        return await rotations.rotate(changes);
      },
    };
    await world.keyRotations({ rotations: between }).round();
    expect(lots).toEqual([3, 1]);
    await world.keyRotations().round();
    for (const keyId of keys) expect(await count(keyId)).toBe(2);
  });

  it.each([
    [2 ** 31, 2],
    [2 ** 31 - 1, 1],
  ])('comes before it is due when the primary version has sealed %i times: %i versions', async (sealings, versions) => {
    const { keyId, primaryVersion } = await world.rotating(1, 90);
    const unpolicied = await world.create();
    const sealed = (of: KeyId, version: string, times: number) =>
      world.database.as('superuser', (client) =>
        client.query(`INSERT INTO keyward.key_wear (tenant_id, version_id, key_id, sealed) VALUES ('acme', $1, $2, $3)`, [
          version,
          of,
          times,
        ]),
      );
    await sealed(keyId, primaryVersion, sealings);
    await sealed(unpolicied.keyId, unpolicied.primaryVersion, 2 ** 40);
    for (let times = 0; times < 2; times++) await world.keyRotations().round();
    expect([await count(keyId), await count(unpolicied.keyId)]).toEqual([versions, 1]);
    if (versions > 1) expect(await recordsOf(keyId)).toMatchObject([{ change: { reason: 'iv-budget' } }]);
  });

  it('stands in the calendar, page by page, the soonest first, with what else comes', async () => {
    const [later, sooner] = [await world.rotating(1, 91), await world.rotating(1, 90)];
    const ending = await world.create();
    await world.admin('ScheduleKeyDeletion', { keyId: ending.keyId, pendingDays: 7 });
    const found = [];
    let cursor: string | undefined;
    do {
      const page = await world.admin('ListCalendar', { limit: 2, cursor });
      found.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(found.map(({ at }) => at)).toEqual(found.map(({ at }) => at).sort());
    expect(new Set(found.map((item) => JSON.stringify(item))).size).toBe(found.length);
    const mine = found.filter(({ keyId }) => [later.keyId, sooner.keyId, ending.keyId].includes(keyId!));
    const { nextRotationAt } = await world.admin('GetKeyRotation', { keyId: sooner.keyId });
    expect(mine).toMatchObject([
      { event: 'deletion', keyId: ending.keyId, keyState: 'PendingDeletion' },
      { event: 'rotation', keyId: sooner.keyId, keyState: 'Enabled', at: nextRotationAt },
      { event: 'rotation', keyId: later.keyId, keyState: 'Enabled' },
    ]);
    expect(found.filter(({ event }) => event === 'credential-expiry').length).toBeGreaterThan(0);
    const globex = await world.admin('ListCalendar', { limit: 100, cursor: undefined }, GLOBEX);
    expect(globex.items.filter(({ keyId }) => mine.some((item) => item.keyId === keyId))).toEqual([]);
    const cursorOfAcme = (await world.admin('ListCalendar', { limit: 1, cursor: undefined })).nextCursor;
    await expect(world.admin('ListCalendar', { limit: 1, cursor: cursorOfAcme }, GLOBEX)).rejects.toMatchObject({
      code: 'invalid-request',
    });
  });

  it('is the rule by which who-can tells the worker, for this key and nothing else', async () => {
    const { keyId } = await world.rotating(1, 90);
    const asked = { keyId, limit: 10, cursor: undefined };
    const rule = {
      keyId,
      aliases: [],
      subject: 'worker',
      operations: ['RotateKey'],
      grant: `rotation:${keyId}`,
      conditions: 'every 90 days',
      except: [],
    };
    expect((await world.admin('WhoCan', asked)).items).toEqual([rule]);
    expect((await world.admin('WhoCan', { ...asked, operation: 'Encrypt' })).items).toEqual([]);
    const all = await world.admin('WhoCan', { limit: 100, cursor: undefined, operation: 'RotateKey' });
    expect(all.items).toContainEqual(rule);
    const stop = await world.stopped({ scope: 'key', keyId });
    expect((await world.admin('WhoCan', asked)).items).toEqual([]);
    await stop.lift();
  });

  it('gives a hundred keys one version each while three workers are killed again and again, and nothing fails to open meanwhile', async () => {
    world.offsetMs = -100 * DAY_MS;
    const keys = await Promise.all(Array.from({ length: 100 }, () => settled(() => world.create())));
    world.offsetMs = 0;
    for (const { keyId } of keys) await world.admin('PutKeyRotation', { keyId, enabled: true, intervalDays: 90, replaces: 0 });
    const ciphertexts = [];
    for (const { keyId } of keys.slice(0, 10)) ciphertexts.push(Buffer.from((await sealed(keyId)).ciphertext));
    const { custody } = world;
    const { rotations } = world.worker;

    let [opened, isOver] = [0, false];
    const opening = (async () => {
      for (let at = 0; !isOver; at++) {
        const { keyId } = keys[at % 10]!;
        const fresh = await settled(() => sealed(keyId));
        for (const ciphertext of [ciphertexts[at % 10]!, Buffer.from(fresh.ciphertext)]) {
          await settled(() => world.service('Decrypt', { ciphertext }));
          opened++;
        }
      }
    })();
    let life = 0;
    for (let round = 0; round < 500 && (await settled(() => rotations.dueRotations())).length > 0; round++)
      await Promise.all(
        [1, 2, 3].map(() => {
          const dying = dyingAfter((life++ * 37) % 101, { custody, rotations });
          return world
            .keyRotations({ ...dying, onFailure: () => undefined })
            .round()
            .catch(() => undefined);
        }),
      );
    isOver = true;
    await opening;
    expect(opened).toBeGreaterThan(0);
    const { rows } = await world.database.as('superuser', (client) =>
      client.query<{ versions: number; records: number }>(
        `SELECT DISTINCT (SELECT count(*)::int FROM keyward.key_version v WHERE v.key_id = k.key_id) AS versions,
            (SELECT count(*)::int FROM keyward.trail_record r WHERE r.op = 'RotateKey' AND r.key_id = k.key_id) AS records
          FROM keyward.cmk k WHERE k.key_id = ANY ($1)`,
        [keys.map(({ keyId }) => keyId)],
      ),
    );
    expect(rows).toEqual([{ versions: 2, records: 1 }]);
  });
});
