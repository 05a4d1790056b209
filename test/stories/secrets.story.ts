import { readFileSync } from 'node:fs';
import { checkoutPath } from '#runtime';
import { api, must } from './api.js';
import { CommandLine } from './command-line.js';
import { type Onboarded, onboarded } from './onboarded.js';

const PAGE = readFileSync(checkoutPath('docs', 'secrets.md'), 'utf8');
const block = (language: string): string => new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(PAGE)![1]!;
const decoded = (body: Record<string, unknown>) => Buffer.from(String(body['value']), 'base64').toString();

describe('secrets on a whole platform', () => {
  let world: Onboarded;
  let anna: CommandLine;
  beforeAll(async () => {
    world = await onboarded();
    anna = new CommandLine(world, world.acme, 'admin');
  }, 180_000);
  afterAll(async () => {
    anna?.remove();
    await world?.stop();
  }, 60_000);

  const keyPlane = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);
  const dataPlane = (path: string, body: unknown) =>
    api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', `/v1/tenants/acme/secrets${path}`, body);

  /** One line of the page's example: `printf text | npx keyward …`, or one command after another. */
  async function typed(line: string): Promise<string> {
    let input = '';
    for (const part of line.split(' | ')) {
      const [first = '', ...words] = part.split(' ');
      if (first === 'printf') input = words.join(' ');
      else {
        expect([first, words[0]]).toEqual(['npx', 'keyward']);
        const { exit, out, talk } = await anna.piped(input, ...words.slice(1));
        expect([line, exit, talk]).toEqual([line, 0, '']);
        input = out;
      }
    }
    return input;
  }

  it('are made, changed, listed and restored as the page shows', async () => {
    const said: string[] = [];
    const lines = block('sh').split('\n');
    for (const line of lines.filter((one) => one !== '' && !one.startsWith('#'))) said.push(await typed(line));
    expect(said[1]).toBe('hunter2');
    const current = await typed('npx keyward secret get shop/db');
    expect(current).toMatch(/^[\x21-\x7e]{24}$/);
    expect(said[3]).toMatch(/ACSPrevious[\s\S]*ACSCurrent/);
    expect(await typed('npx keyward secret list --prefix shop/')).toContain('Active');
  });

  it('are read by a service as the grants of the page say, and by no other way', async () => {
    expect((await dataPlane('/get-value', { secretId: 'shop/db' })).status).toBe(403);
    const { headers } = await keyPlane('GET', '/policy');
    await keyPlane('PUT', '/policy', JSON.parse(block('json')), { 'if-match': headers.get('etag')! });
    const answer = await dataPlane('/get-value', { secretId: 'shop/db' });
    expect([answer.status, decoded(answer.body)]).toEqual([200, await typed('npx keyward secret get shop/db')]);
    const [one, two] = (
      await dataPlane('/get-value/batch', { items: [{ secretId: 'shop/db', label: 'ACSPrevious' }, { secretId: 'other' }] })
    ).body['items'] as Record<string, unknown>[];
    expect([decoded(one!), (two!['problem'] as Record<string, unknown>)['code']]).toEqual(['hunter2', 'not-granted']);
    for (const [path, body] of [
      ['/put-value', { secretId: 'shop/db', value: 'AAAA' }],
      ['/describe', { secretId: 'shop/db' }],
      ['/random-password', {}],
    ] as const)
      expect([path, (await dataPlane(path, body)).status]).toEqual([path, 403]);
  });

  it('are what who-can and simulate tell of, as it is', async () => {
    const who = await anna.json('policy', 'who-can', '--secret', 'shop/db');
    expect(who['items']).toMatchObject([
      {
        subject: 'svc:billing',
        operations: ['GetSecretValue'],
        grant: 'shop-secrets',
        conditions: expect.stringContaining('shop-secrets-key'),
      },
      { subject: 'admin' },
      { subject: 'worker' },
    ]);
    const simulate = async (operation: string) =>
      (await anna.json('policy', 'simulate', '--service', 'billing', '--operation', operation, '--secret', 'shop/db'))['allowed'];
    expect([await simulate('GetSecretValue'), await simulate('PutSecretValue'), await simulate('DescribeSecret')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('leave one record a read, which names the secret, both rules, and nothing of the value', async () => {
    const records = await must(
      world.platform.urls.auditor,
      world.acme.auditor,
      'GET',
      '/v1/tenants/acme/records?op=GetSecretValue&outcome=succeeded&principal=billing',
    );
    const items = records.body['items'] as Record<string, unknown>[];
    expect(items).toHaveLength(2);
    for (const item of items)
      expect(item).toMatchObject({
        secret: { name: 'shop/db' },
        authz: { decision: 'allow', ruleId: 'shop-secrets', keyRuleId: 'shop-secrets-key' },
        key: { id: world.acme.keyId },
      });
    expect(JSON.stringify(records.body)).not.toMatch(/hunter2|aHVudGVyMg/);
  });

  it('are out of reach with a stop of their key, until it is lifted', async () => {
    const { body } = await keyPlane('POST', '/stops', { target: { scope: 'key', keyId: world.acme.keyId } });
    expect((await dataPlane('/get-value', { secretId: 'shop/db' })).body['code']).toBe('stopped');
    const admin = await anna.piped('', 'secret', 'get', 'shop/db');
    expect([admin.exit, admin.out]).toEqual([3, '']);
    await keyPlane('DELETE', `/stops/${String(body['stopId'])}`);
    expect((await dataPlane('/get-value', { secretId: 'shop/db' })).status).toBe(200);
  });

  it('are moved by the worker to a newer version of their key, until none needs the older one, as a certificate says', async () => {
    const { keyId } = world.acme;
    const from = String((await keyPlane('GET', `/keys/${keyId}`)).body['primaryVersion']);
    const values = await typed('npx keyward secret get shop/db');
    await anna.piped('', 'key', 'rotate', keyId);
    const start = ['rewrap', 'start', keyId, '--from', from];
    expect(await anna.piped('', ...start)).toMatchObject({ exit: 2, talk: expect.stringContaining('--secrets') });
    const { exit, out } = await anna.piped('', '--json', ...start, '--secrets', '--watch');
    const operation = JSON.parse(out) as Record<string, unknown>;
    expect([exit, operation]).toMatchObject([0, { mode: 'secrets', state: 'succeeded', progress: { population: 2, done: 2, failed: 0 } }]);
    const { references } = (await keyPlane('GET', `/keys/${keyId}/versions/${from}/references`)).body as { references: { kind: string }[] };
    expect(references.map(({ kind }) => kind)).not.toContain('secrets');
    expect(decoded((await dataPlane('/get-value', { secretId: 'shop/db' })).body)).toBe(values);
    const certificate = await typed(`npx keyward operation certificate ${String(operation['operationId'])}`);
    expect(certificate).toContain('of: secrets\npopulation: 2\nmoved: 2\n');
  });
});
