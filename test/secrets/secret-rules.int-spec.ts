import { type Grant, type GrantedOperation, type PolicyDocument, simulateRequest, type SecretDescription, whoCanQuery } from '#contract';
import type { InputOf } from '#core';
import { type KeyWorld, refusal } from '../keys/key-world.js';
import { SecretWorld } from './secret-world.js';

describe('what a policy says about a secret', () => {
  let secrets: SecretWorld;
  let world: KeyWorld;
  let secret: SecretDescription;
  let version = 0;
  beforeAll(async () => {
    secrets = await SecretWorld.start();
    ({ world } = secrets);
    secret = await secrets.create();
  });
  afterAll(() => world?.stop());

  const grant = (id: string, objects: string[], operations: GrantedOperation[], more: Partial<Grant> = {}) => ({
    id,
    subjects: ['svc:billing'],
    objects,
    operations,
    ...more,
  });
  const publish = async (grants: Grant[], guardrails: PolicyDocument['guardrails'] = []) => {
    const document: PolicyDocument = { schema: 'keyward.policy/1', roles: {}, grants, guardrails };
    ({ version } = await world.admin('PutPolicy', { document, replaces: version }));
  };
  const ofSecret = (operations: GrantedOperation[] = ['GetSecretValue', 'PutSecretValue'], more: Partial<Grant> = {}) =>
    grant('secrets', ['secret:app/*'], operations, more);
  const ofKey = (operations: GrantedOperation[] = ['Decrypt', 'GenerateDataKey'], more: Partial<Grant> = {}) =>
    grant('key', [secrets.key.keyId], operations, more);
  const simulate = (operation: GrantedOperation = 'GetSecretValue', more: Partial<InputOf<'SimulatePolicy'>> = {}) =>
    world.admin('SimulatePolicy', { subject: 'svc:billing', operation, secretId: secret.name, ...more });
  const whoCan = async (of = secret, operation?: GrantedOperation) =>
    (await world.admin('WhoCan', { secretId: of.secretId, limit: 100, ...(operation && { operation }) })).items;
  const services = async (of = secret) => (await whoCan(of)).filter(({ subject }) => subject.startsWith('svc:'));

  it('is decided as a read is: by a grant of the secret, and one of its key', async () => {
    await publish([ofSecret(), ofKey()]);
    expect(await simulate()).toMatchObject({
      allowed: true,
      policyVersion: version,
      grant: 'secrets',
      keyGrant: 'key',
      sentences: expect.arrayContaining(['Allowed.']),
    });
    expect(await simulate('PutSecretValue', { secretId: secret.secretId })).toMatchObject({ allowed: true, keyGrant: 'key' });
    const [entry, ...others] = await services();
    expect(others).toEqual([]);
    expect(entry).toEqual({
      ...{ keyId: secrets.key.keyId, aliases: [], secret: { secretId: secret.secretId, name: secret.name } },
      ...{ subject: 'svc:billing', operations: ['GetSecretValue', 'PutSecretValue'], grant: 'secrets', except: [] },
      conditions: 'GetSecretValue by key of the key, PutSecretValue by key of the key',
    });
    expect(await whoCan(secret, 'PutSecretValue')).toMatchObject([
      { operations: ['PutSecretValue'] },
      { subject: 'admin', operations: ['PutSecretValue'] },
    ]);
  });

  it.each<[string, () => Grant[], string]>([
    ['no grant of it', () => [ofKey()], 'Refused: no grant names this caller with this operation and secret.'],
    [
      'a grant of everything, which means keys',
      () => [grant('all', ['*'], ['GetSecretValue']), ofKey()],
      'Refused: no grant names this caller with this operation and secret.',
    ],
    ['no grant of its key', () => [ofSecret()], 'Refused: no grant names this caller with Decrypt and the key of the secret.'],
    [
      'a grant of another use of its key',
      () => [ofSecret(), ofKey(['GenerateDataKey'])],
      'Refused: no grant names this caller with Decrypt and the key of the secret.',
    ],
    [
      'limits of two grants',
      () => [ofSecret(['GetSecretValue'], { limits: { perDay: 5 } }), ofKey(['Decrypt'], { limits: { perDay: 5 } })],
      'Refused: limits-of-two-grants.',
    ],
    [
      'a condition on a label that its key is not used with',
      () => [ofSecret(), ofKey(['Decrypt'], { when: { encryptionContextSubset: { purpose: 'invoice' } } })],
      'Refused: key comes closest, but when.encryptionContextSubset is not as it asks.',
    ],
  ])('is no reading with %s', async (_what, grants, sentence) => {
    await publish(grants());
    const answer = await simulate();
    expect([answer.allowed, answer.code, answer.sentences[0]]).toEqual([false, 'not-granted', sentence]);
    if (!sentence.includes('closest') && !sentence.includes('limits'))
      expect((await services()).flatMap(({ operations }) => operations)).not.toContain('GetSecretValue');
  });

  it('says what stands in the way besides grants: a stop of its key, the state of that, its own end, no value', async () => {
    await publish([ofSecret(), ofKey()]);
    const ended = await secrets.create();
    await world.admin('DeleteSecret', { secretId: ended.secretId, force: false, recoveryDays: 7 });
    const empty = await secrets.create({ value: undefined });
    expect(await simulate('GetSecretValue', { secretId: ended.name })).toMatchObject({ allowed: false, code: 'secret-pending-deletion' });
    expect(await simulate('GetSecretValue', { secretId: empty.name })).toMatchObject({ allowed: false, code: 'not-found' });
    expect(await simulate('PutSecretValue', { secretId: empty.name })).toMatchObject({ allowed: true });
    expect([await services(ended), (await services(empty))[0]?.operations]).toEqual([[], ['GetSecretValue', 'PutSecretValue']]);
    const stop = await world.stopped({ scope: 'key', keyId: secrets.key.keyId });
    expect(await simulate()).toMatchObject({ allowed: false, code: 'stopped', stopId: expect.any(String) });
    expect(await whoCan()).toMatchObject([{ subject: 'admin', operations: ['DescribeSecret'] }]);
    await stop.lift();
    await world.admin('DisableKey', { keyId: secrets.key.keyId });
    expect(await simulate()).toMatchObject({ allowed: false, code: 'key-disabled' });
    expect(await whoCan()).toMatchObject([{ subject: 'admin', operations: ['DescribeSecret'] }]);
    await world.admin('EnableKey', { keyId: secrets.key.keyId });
  });

  it('names the worker where a rotation needs it, and no service that would put what is rotated at a target', async () => {
    await publish([ofSecret(), ofKey()]);
    const connection = await secrets.create();
    const rotated = await secrets.create({ rotation: { target: 'postgresql', connectionSecret: connection.secretId } });
    expect(await simulate('PutSecretValue', { secretId: rotated.name })).toMatchObject({
      allowed: false,
      sentences: expect.arrayContaining(['Refused: value-of-a-rotation.']),
    });
    const told = async (of: SecretDescription) =>
      (await whoCan(of)).map(({ subject, operations, grant: by }) => [subject, operations.join(), by]);
    expect(await told(rotated)).toEqual([
      ['svc:billing', 'GetSecretValue', 'secrets'],
      ['admin', 'GetSecretValue,PutSecretValue,DescribeSecret', 'admin'],
      ['worker', 'GetSecretValue,PutSecretValue', `secret-rotation:${rotated.secretId}`],
    ]);
    expect(await told(connection)).toEqual([
      ['svc:billing', 'GetSecretValue', 'secrets'],
      ['admin', 'GetSecretValue,PutSecretValue,DescribeSecret', 'admin'],
      ['worker', 'GetSecretValue', 'secret-rotation'],
    ]);
  });

  it('says nothing of a put by a grant with a limit, which never allows one', async () => {
    await publish([ofSecret(['PutSecretValue'], { limits: { perDay: 5 } }), ofKey()]);
    expect(await simulate('PutSecretValue')).toMatchObject({ allowed: false, code: 'not-granted' });
    expect(await services()).toEqual([]);
  });

  it('describes without the key, and makes passwords without a secret', async () => {
    await publish([ofSecret(['DescribeSecret']), grant('passwords', ['*'], ['GetRandomPassword'])]);
    expect(await simulate('DescribeSecret')).toMatchObject({ allowed: true, grant: 'secrets' });
    expect(await services()).toMatchObject([{ operations: ['DescribeSecret'], conditions: '' }]);
    expect(await simulate('GetRandomPassword', { secretId: undefined })).toMatchObject({ allowed: true, grant: 'passwords' });
  });

  it('is replayed by the preview of a draft: reads that it would refuse, and those that it would allow', async () => {
    const [one, other] = [await secrets.create(), await secrets.create()];
    const own = ({ name }: SecretDescription, more: Partial<Grant> = {}) => grant('own', [`secret:${name}`], ['GetSecretValue'], more);
    const read = async (times: number, refused: boolean) => {
      for (let time = 0; time < times; time++)
        if (refused) await refusal(secrets.get(one));
        else await secrets.get(one);
    };
    const preview = async (...grants: Grant[]) => {
      await world.admin('PutPolicyDraft', { format: 'json', text: JSON.stringify({ schema: 'keyward.policy/1', grants }) });
      const { changes, ...sums } = await world.admin('PreviewPolicyDraft', { days: 1 });
      const { newlyRefused, newlyAllowed, unjudged } = sums;
      const mine = changes.filter(({ secret: name }) => name === one.name);
      return {
        newlyRefused,
        newlyAllowed,
        unjudged,
        mine: mine.map(({ subject, operation }) => `${subject} ${operation}`),
        said: sums.sentences,
      };
    };
    const none = { newlyRefused: 0, newlyAllowed: 0, unjudged: 0, mine: [] };
    const mine = ['svc:billing GetSecretValue'];
    await publish([own(one), ofKey()]);
    await read(3, false);
    // Neither an admin's nor the worker's is under a grant.
    await secrets.read(one);
    expect(await preview(own(one), ofKey())).toMatchObject(none);
    expect(await preview(own(one), ofKey(['GenerateDataKey']))).toMatchObject({ ...none, newlyRefused: 3, mine });
    expect(await preview(own(one, { limits: { perDay: 9 } }), ofKey())).toMatchObject({ ...none, unjudged: 3, mine });
    const refusing = await preview(own(other), ofKey());
    expect(refusing).toMatchObject({ ...none, newlyRefused: 3, mine });
    expect(refusing.said).toContain(`svc:billing GetSecretValue with ${one.name}: 3 newly refused.`);

    // Since now it is not granted.
    await publish([own(other), ofKey()]);
    world.ruling = () => ({ grant: undefined });
    try {
      await read(2, true);
    } finally {
      world.ruling = () => ({});
    }
    expect(await preview(own(one), ofKey())).toMatchObject({ ...none, newlyAllowed: 2, mine });
    expect(await preview(own(one))).toMatchObject({ ...none, newlyRefused: 3, mine });
    expect(await preview(own(other), ofKey())).toMatchObject({ ...none, newlyRefused: 3, mine });
  });

  it('is asked by the name that the operation has', async () => {
    const fields = (body: object) =>
      simulateRequest.safeParse({ subject: 'svc:billing', ...body }).error?.issues.map(({ path }) => path.join('.')) ?? [];
    expect(fields({ operation: 'GetSecretValue', secretId: 'a' })).toEqual([]);
    expect(fields({ operation: 'GetSecretValue', keyId: 'alias/a' })).toEqual(['keyId', 'secretId']);
    expect(fields({ operation: 'Decrypt', secretId: 'a' })).toEqual(['keyId', 'secretId']);
    expect(fields({ operation: 'GetRandomPassword', secretId: 'a' })).toEqual(['secretId']);
    expect(fields({ operation: 'GetSecretValue', secretId: 'a', encryptionContext: {} })).toEqual(['encryptionContext']);
    expect(whoCanQuery.safeParse({ keyId: 'alias/a', secretId: 'a' }).error?.issues[0]?.path).toEqual(['secretId']);
    const unknown = { code: 'not-found' };
    expect(await refusal(simulate('GetSecretValue', { secretId: 'nobodys' as SecretDescription['name'] }))).toMatchObject(unknown);
    expect(await refusal(world.admin('WhoCan', { secretId: 'nobodys' as SecretDescription['name'], limit: 1 }))).toMatchObject(unknown);
  });
});
