import { randomInt } from 'node:crypto';
import {
  CURRENT,
  type KeyDescription,
  PENDING,
  PREVIOUS,
  type SecretDescription,
  type SecretName,
  type SecretRotationPolicy,
} from '#contract';
import type { SecretRotationParts } from '#core';
import { dyingAfter } from '../keys/dying.js';
import { ACME, KeyWorld, refusal } from '../keys/key-world.js';
import { HMAC_KEY, RotatingEndpoint } from '../targets/rotating-endpoint.js';

const HOUR_MS = 3_600_000;
const STRIDE = 4;
const bytes = (text: string) => Buffer.from(text);

describe('rotations of secrets', () => {
  let world: KeyWorld;
  let key: KeyDescription;
  let endpoint: RotatingEndpoint;
  let names = 0;
  beforeAll(async () => {
    world = await KeyWorld.start();
    key = await world.create();
  });
  afterAll(() => world?.stop());
  beforeEach(async () => void (endpoint = await RotatingEndpoint.start('first')));
  afterEach(() => endpoint.stop());

  const create = (value: string, rotation?: SecretRotationPolicy): Promise<SecretDescription> =>
    world.admin('CreateSecret', {
      ...{ name: `rotated-${++names}` as SecretName, keyId: key.keyId, type: 'generic', description: '', format: 'text' },
      ...{ value: bytes(value), ...(rotation && { rotation }) },
    });
  /** Its target is the endpoint. */
  const atEndpoint = async (signingKey = HMAC_KEY, more: Partial<SecretRotationPolicy> = {}) => {
    const { secretId: connectionSecret } = await create(JSON.stringify({ url: endpoint.url, signingKey }));
    return await create('first', { target: 'webhook', connectionSecret, ...more });
  };
  const due = async ({ secretId }: SecretDescription) => void (await world.admin('RotateSecret', { secretId }));
  const worker = (parts: Partial<SecretRotationParts> = {}) => world.secretRotations({ allow: [endpoint.origin], pausesMs: [0], ...parts });
  const read = async ({ secretId }: SecretDescription, label = CURRENT) =>
    Buffer.from((await world.service('GetSecretValue', { secretId, label })).value).toString();
  const described = ({ secretId }: SecretDescription) => world.admin('DescribeSecret', { secretId });
  const sql = async (text: string, ...values: unknown[]) =>
    await world.database.as('superuser', async (client) => (await client.query(text, values)).rows as Record<string, unknown>[]);
  /** The overlap, or the lease of who died, is over. */
  const later = async ({ secretId }: SecretDescription) =>
    void (await sql(`UPDATE keyward.rotating_secret SET next_at = now() WHERE secret_id = $1 AND next_at IS NOT NULL`, secretId));
  const phaseOf = async ({ secretId }: SecretDescription) =>
    (await sql('SELECT phase, last_error FROM keyward.rotating_secret WHERE secret_id = $1', secretId))[0];
  const recordsOf = async ({ secretId }: SecretDescription) => {
    const rows = await sql(
      `SELECT convert_from(bytes, 'UTF8')::json AS body FROM keyward.trail_record
        WHERE convert_from(bytes, 'UTF8')::json #>> '{secret,id}' = $1 AND convert_from(bytes, 'UTF8')::json #>> '{actor,type}' = 'worker'
        ORDER BY seq`,
      secretId,
    );
    return rows.map(({ body }) => body as { op: string; change?: Record<string, unknown> });
  };
  const changes = async (secret: SecretDescription) =>
    (await recordsOf(secret)).map(({ op }) => op).filter((op) => op !== 'GetSecretValue');
  const WHOLE = ['StartSecretRotation', 'PutSecretValue', 'PromoteSecretVersion', 'EndSecretRotation'];

  it('give a secret a new value by schedule, and the next one an interval later', async () => {
    const secret = await create('first', { target: 'schedule', intervalHours: 24 });
    const nextAt = Date.parse(secret.rotation!.nextRotationAt!);
    await worker().round();
    expect(await read(secret)).toBe('first');
    await sql(`UPDATE keyward.secret SET next_rotation_at = now() WHERE secret_id = $1`, secret.secretId);
    await worker().round();
    expect(await read(secret)).toMatch(/^[!-~]{32}$/);
    expect(await read(secret, PREVIOUS)).toBe('first');
    const { labels, rotation } = await described(secret);
    expect([Object.keys(labels).sort(), rotation!.state]).toEqual([[CURRENT, PREVIOUS], 'Idle']);
    expect(Date.parse(rotation!.nextRotationAt!)).toBeGreaterThanOrEqual(nextAt);
    expect(Date.parse(rotation!.nextRotationAt!)).toBeLessThanOrEqual(Date.now() + 24 * HOUR_MS);
    expect(await changes(secret)).toEqual(WHOLE);
    expect(await recordsOf(secret)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ actor: { type: 'worker', tenant: 'platform', principal: 'worker' }, writer: 'keyward_worker' }),
        expect.objectContaining({ authz: { decision: 'allow', ruleId: `secret-rotation:${secret.secretId}` } }),
      ]),
    );
  });

  it('count in the budget of the key, as every new value of a secret does', async () => {
    const { keyId, primaryVersion } = await world.create();
    const asked = { keyId, type: 'generic', description: '', format: 'text', value: bytes('first') } as const;
    const secret = await world.admin('CreateSecret', {
      ...asked,
      name: `rotated-${++names}` as SecretName,
      rotation: { target: 'schedule' },
    });
    await due(secret);
    await worker().round();
    await world.admin('PutSecretValue', { secretId: secret.secretId, value: bytes('third'), format: 'text' });
    const [head] = await sql(`SELECT size FROM keyward.tenant_head WHERE tenant_id = 'acme'`);
    await world.worker.checkpoints.rollUp(ACME, BigInt(String(head!['size'])));
    const [wear] = await sql(`SELECT sealed FROM keyward.key_wear WHERE version_id = $1`, primaryVersion);
    expect(wear).toEqual({ sealed: '3' });
    expect(await sql(`SELECT keyward.sealed_under('acme', $1, $2)::integer AS sealed`, keyId, primaryVersion)).toEqual([{ sealed: 3 }]);
  });

  it('tell a target first, and let both values be good until the overlap is over', async () => {
    const secret = await atEndpoint();
    await due(secret);
    await worker().round();
    const next = await read(secret);
    expect([...endpoint.accepted]).toEqual(['first', next]);
    expect(await phaseOf(secret)).toMatchObject({ phase: 'Settling' });
    await worker().round();
    expect(endpoint.accepted.size).toBe(2);
    await later(secret);
    await worker().round();
    expect([...endpoint.accepted]).toEqual([next]);
    expect(await changes(secret)).toEqual(WHOLE);
    const reads = (await recordsOf(secret)).filter(({ op }) => op === 'GetSecretValue').length;
    // create 1, apply 2, test 2, retire 2: each value that left the database, and those of the connection are told of that.
    expect(reads).toBe(7);
  });

  it('end in Invalid when the target refuses: what was current is, works, and stays until an admin asks again', async () => {
    const secret = await atEndpoint(`whsec_${Buffer.alloc(32, 8).toString('base64')}`, { intervalHours: 6 });
    await due(secret);
    for (let look = 0; look < 20; look++) await worker().round();
    expect((await described(secret)).rotation).toMatchObject({ state: 'Invalid' });
    expect((await described(secret)).rotation).not.toHaveProperty('nextRotationAt');
    expect(await phaseOf(secret)).toEqual({ phase: 'Invalid', last_error: 'Creating: refused: status 401' });
    expect([...endpoint.accepted]).toEqual([await read(secret)]);
    expect(await changes(secret)).toEqual(['StartSecretRotation', 'SecretRotationInvalid']);
    await due(secret);
    await worker().round();
    expect(await changes(secret)).toHaveLength(4);
  });

  it.each([
    ['apply', 403],
    ['test', 403],
    ['test', 500],
  ])('take back what was applied when %s fails for good with %d', async (step, status) => {
    const secret = await atEndpoint();
    endpoint.fails = { type: `keyward.rotation.${step}`, status };
    await due(secret);
    for (let look = 0; look < 20; look++) await worker().round();
    expect(await phaseOf(secret)).toMatchObject({ phase: 'Invalid', last_error: expect.stringMatching(new RegExp(`status ${status}$`)) });
    expect([...endpoint.accepted]).toEqual(['first']);
    expect(Object.keys((await described(secret)).labels)).toEqual([CURRENT]);
    expect(await changes(secret)).toEqual(['StartSecretRotation', 'PutSecretValue', 'SecretRotationInvalid']);
    endpoint.fails = undefined;
    await due(secret);
    await worker().round();
    expect(endpoint.accepted).toContain(await read(secret));
  });

  it('keep the value that a target may have, when it cannot be taken back, and apply it before another one is made', async () => {
    const secret = await atEndpoint();
    await due(secret);
    [endpoint.fails, endpoint.rejects] = [{ type: 'keyward.rotation.finish', status: 403 }, true];
    for (let look = 0; look < 20; look++) await worker().round();
    expect(await phaseOf(secret)).toMatchObject({ phase: 'Invalid', last_error: 'Reverting: refused: status 403' });
    const { [PENDING]: pending } = (await described(secret)).labels;
    expect(pending).toBeDefined();
    [endpoint.fails, endpoint.rejects] = [undefined, false];
    await due(secret);
    await worker().round();
    expect((await described(secret)).labels).toMatchObject({ [CURRENT]: pending });
    expect(endpoint.accepted).toContain(await read(secret));
  });

  it('wait while a stop lasts, and go on when it is lifted', async () => {
    const secret = await atEndpoint();
    await due(secret);
    const stop = await world.stopped({ scope: 'key', keyId: key.keyId });
    await worker().round();
    expect(endpoint.calls).toEqual([]);
    await stop.lift();
    await worker().round();
    expect(endpoint.accepted).toContain(await read(secret));
  });

  it('are one, however many workers are at it', async () => {
    const secret = await atEndpoint();
    await due(secret);
    await Promise.all([worker(), worker(), worker()].map((each) => each.round()));
    expect(await changes(secret)).toEqual(WHOLE.slice(0, 3));
  });

  it('do what an unforged policy says, and nothing for a row that somebody wrote past Keyward', async () => {
    const secret = await atEndpoint();
    await sql(`UPDATE keyward.secret SET rotation = json_build_object('target', 'schedule') WHERE secret_id = $1`, secret.secretId);
    await sql(`UPDATE keyward.secret SET rotation_state = 'Due', next_rotation_at = now() WHERE secret_id = $1`, secret.secretId);
    const failures: unknown[] = [];
    await world.secretRotations({ onFailure: (error) => failures.push(error) }).round();
    expect(failures).toMatchObject([{ code: 'unavailable', reason: `binding-broken: secret ${secret.secretId}` }]);
    expect(await recordsOf(secret)).toEqual([]);
    await sql(`UPDATE keyward.secret SET rotation_state = 'Idle', next_rotation_at = NULL WHERE secret_id = $1`, secret.secretId);
  });

  it('give no target an older value back, whatever their row says', async () => {
    const secret = await atEndpoint();
    await world.admin('PutSecretValue', { secretId: secret.secretId, value: bytes('second'), format: 'text' });
    await sql(
      `INSERT INTO keyward.rotating_secret (tenant_id, secret_id, phase, version_id)
        SELECT tenant_id, secret_id, 'Applying', $2 FROM keyward.secret WHERE secret_id = $1`,
      ...[secret.secretId, secret.labels[CURRENT]],
    );
    await sql(`UPDATE keyward.secret SET rotation_state = 'Running' WHERE secret_id = $1`, secret.secretId);
    const failures: unknown[] = [];
    await world.secretRotations({ allow: [endpoint.origin], onFailure: (error) => failures.push(error) }).round();
    expect(failures).toMatchObject([{ code: 'internal', reason: 'not what is pending' }]);
    expect(endpoint.calls).toEqual([]);
    await sql(`UPDATE keyward.secret SET rotation_state = 'Idle' WHERE secret_id = $1`, secret.secretId);
  });

  it('keep their policy, when one begins while an admin publishes another', async () => {
    const secret = await atEndpoint();
    const bind = world.custody.bindRule.bind(world.custody);
    const binding = jest.spyOn(world.custody, 'bindRule').mockImplementationOnce(async (...row) => {
      await sql(`UPDATE keyward.secret SET rotation_state = 'Running' WHERE secret_id = $1`, secret.secretId);
      return await bind(...row);
    });
    try {
      const { secretId } = secret;
      const published = world.admin('UpdateSecretRotationPolicy', { secretId, policy: { target: 'schedule' } });
      expect(await refusal(published)).toMatchObject({ code: 'state-unchangeable' });
      expect((await described(secret)).rotation).toEqual({ ...secret.rotation, state: 'Running' });
    } finally {
      binding.mockRestore();
      await sql(`UPDATE keyward.secret SET rotation_state = 'Idle' WHERE secret_id = $1`, secret.secretId);
    }
  });

  it('are not asked for twice', async () => {
    const secret = await atEndpoint();
    await due(secret);
    await worker().round();
    expect(await refusal(due(secret))).toMatchObject({ code: 'state-unchangeable' });
  });

  it('come to the same end wherever a worker is killed, and no target ever has a value that is not stored', async () => {
    const { custody } = world;
    const { secretRotations: rotations, secrets, trail } = world.worker;
    let killed = 0;
    // A quarter of all places, by lot: together the runs of this test are at each of them.
    for (let steps = randomInt(STRIDE), alive = false; !alive; steps += STRIDE) {
      await endpoint.stop();
      endpoint = await RotatingEndpoint.start('first');
      const secret = await atEndpoint();
      const storedBefore = async () => {
        const ids = await sql('SELECT version_id FROM keyward.secret_version WHERE secret_id = $1', secret.secretId);
        const values = await Promise.all(
          ids.map(({ version_id: versionId }) =>
            world.admin('GetSecretValue', { secretId: secret.secretId, versionId: String(versionId) }),
          ),
        );
        return values.map(({ value }) => Buffer.from(value).toString());
      };
      await due(secret);
      for (const settled of [false, true]) {
        if (settled) await later(secret);
        let died = false;
        const turns = { run: (turn: Parameters<SecretRotationParts['runTurn']>[0]) => world.turn([endpoint.origin], turn) };
        const dying = dyingAfter(steps, { custody, rotations, secrets, trail, turns });
        const { turns: dyingTurns, ...parts } = dying;
        await world
          .secretRotations({ ...parts, runTurn: (turn) => dyingTurns.run(turn), pausesMs: [0], onFailure: () => void (died = true) })
          .round()
          .catch(() => (died = true));
        const stored = await storedBefore();
        expect(stored).toEqual(expect.arrayContaining([...endpoint.accepted]));
        expect(endpoint.accepted).toContain(await read(secret));
        if (died) killed++;
        else if (settled) alive = true;
        if (died) await later(secret);
        await worker().round();
      }
      await later(secret);
      await worker().round();
      expect(await phaseOf(secret)).toEqual({ phase: 'Idle', last_error: null });
      expect([...endpoint.accepted]).toEqual([await read(secret)]);
      expect(await changes(secret)).toEqual(WHOLE);
    }
    expect(killed).toBeGreaterThan(60 / STRIDE);
  });
});
