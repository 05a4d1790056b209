import { CURRENT, type SecretDescription } from '#contract';
import type { KeyWorld } from '../keys/key-world.js';
import { refusal } from '../keys/key-world.js';
import { SecretWorld } from './secret-world.js';

/** Whoever can write SQL, and nothing else: a row that was changed is seen, whatever it was changed to. */
describe('secrets whose rows somebody writes past Keyward', () => {
  let secrets: SecretWorld;
  let world: KeyWorld;
  let one: SecretDescription;
  let other: SecretDescription;
  beforeAll(async () => {
    secrets = await SecretWorld.start();
    ({ world } = secrets);
  });
  afterAll(() => world?.stop());
  beforeEach(async () => {
    one = await secrets.create({ versionId: 'v1' });
    await secrets.put(one, 'second', { versionId: 'v2' });
    other = await secrets.create({ versionId: 'v1', value: Buffer.from('of another') });
  });

  const swap = (columns: string) => `
    UPDATE keyward.secret_version a SET (${columns}) = (SELECT ${columns} FROM keyward.secret_version b WHERE b.secret_id = $2 AND b.version_id = 'v1')
      WHERE a.secret_id = $1 AND a.version_id = 'v2'`;
  const secretIs = (change: string) => `UPDATE keyward.secret SET ${change} WHERE secret_id = $1 AND $2 <> ''`;

  it.each<[string, string, string]>([
    ['the value of another secret', swap('edk, sealed'), 'decrypt-failed'],
    ['its sealed value alone', swap('sealed'), 'decrypt-failed'],
    ['its data key alone', swap('edk'), 'decrypt-failed'],
    [
      'the value of an older version of its own',
      swap('edk, sealed').replace('secret_id = $2', `secret_id = $1 AND $2 <> ''`),
      'decrypt-failed',
    ],
    ['another format', `UPDATE keyward.secret_version SET format = 'binary' WHERE secret_id = $1 AND $2 <> ''`, 'decrypt-failed'],
    ['its label at an older version', secretIs(`labels = '{"${CURRENT}":"v1"}'`), 'unavailable'],
    ['another revision', secretIs('revision = revision + 1'), 'unavailable'],
    ['another name', `UPDATE keyward.secret SET name = name || 'x' WHERE secret_id = $1 AND $2 <> ''`, 'unavailable'],
    ['other tags', secretIs(`tags = '{"team":"mallory"}'`), 'unavailable'],
    ['another type', secretIs(`type = 'token'`), 'unavailable'],
    ['a rotation that nobody asked for', secretIs(`rotation = '{"target":"schedule"}'`), 'unavailable'],
    [
      'all that another secret has',
      `UPDATE keyward.secret a SET (labels, labels_mac, mac, revision) = (SELECT labels, labels_mac, mac, revision FROM keyward.secret b WHERE b.secret_id = $2)
        WHERE a.secret_id = $1`,
      'unavailable',
    ],
  ])('do not open with %s', async (_, sql, code) => {
    expect(await secrets.read(one)).toBe('second');
    expect((await secrets.sql(sql, [one.secretId, other.secretId])).rowCount).toBeGreaterThan(0);
    expect(await refusal(secrets.read(one))).toMatchObject({ code });
    expect(await refusal(secrets.get(one))).toMatchObject({ code: expect.stringMatching(/^(unavailable|decrypt-failed|not-granted)$/) });
    expect(await secrets.read(other)).toBe('of another');
  });

  it('do not open under another key', async () => {
    const { keyId } = await world.create();
    await secrets.sql('UPDATE keyward.secret SET key_id = $2 WHERE secret_id = $1', [one.secretId, keyId]);
    expect(await refusal(secrets.read(one))).toMatchObject({ code: 'unavailable' });
  });

  it('would have moved their label unseen, were it not bound', async () => {
    const check = world.custody.checkBindings.bind(world.custody);
    await secrets.sql(`UPDATE keyward.secret SET labels = '{"${CURRENT}":"v1"}' WHERE secret_id = $1`, [one.secretId]);
    world.custody.checkBindings = (rows) => Promise.resolve(rows.map(() => true));
    try {
      expect(await secrets.read(one)).toBe('hunter2');
    } finally {
      world.custody.checkBindings = check;
    }
  });

  it('would have answered the value of another secret, were the name of the version not bound', async () => {
    await secrets.sql(swap('edk, sealed'), [one.secretId, other.secretId]);
    const open = world.custody.openSecretKey.bind(world.custody);
    const opened: Uint8Array[] = [];
    world.custody.openSecretKey = async (permit, version, _of, sealed) => {
      const key = await open(permit, version, { secretId: other.secretId, versionId: 'v1' }, sealed);
      opened.push(Uint8Array.from(key));
      return key;
    };
    try {
      // Even a custodian that opened the data key would not do: the value is bound to its version once more.
      expect(await refusal(secrets.read(one))).toMatchObject({ code: 'decrypt-failed' });
      expect(opened).toHaveLength(1);
    } finally {
      world.custody.openSecretKey = open;
    }
  });
});
