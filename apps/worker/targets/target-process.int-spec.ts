import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtTest } from '../../../test/stories/built.js';
import type { RunTurn, TargetTurn } from '#core';
import { ED25519_KEY, HMAC_KEY, RotatingEndpoint } from '../../../test/targets/rotating-endpoint.js';
import { targetProcess, type TargetProcessOptions } from './target-process.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (value: Uint8Array | undefined) => new TextDecoder().decode(value);
const valueIn = (answer: Awaited<ReturnType<RunTurn>>) => {
  if (!('done' in answer)) throw new Error(answer.detail);
  return answer.value;
};
const request = (parts: Partial<TargetTurn> = {}): TargetTurn => ({
  ...{ kind: 'webhook', step: 'apply', options: {} },
  rotation: { tenant: 'acme', secretId: 'sec_1', versionId: 'sver_1' },
  current: bytes('old'),
  next: bytes('new'),
  ...parts,
});

/** Of a process that is under no flags. */
async function heardOf(child: ChildProcess, asked: TargetTurn): Promise<unknown> {
  child.send({ request: asked });
  const [{ value }] = (await once(child, 'message')) as [{ value: Uint8Array }];
  child.kill();
  return JSON.parse(textOf(value));
}

describe("the targets' process", () => {
  let folder: string;
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'keyward-targets-'))));
  afterAll(() => rm(folder, { recursive: true }));

  it('has nothing of the worker, and no way to files, programs and native code', async () => {
    const file = join(folder, 'pin');
    await writeFile(file, '1234');
    process.env['KEYWARD_DATABASE_URL'] = 'postgresql://worker:password@localhost/keyward';
    const run = targetProcess({ allow: [], script: builtTest('targets/probing-child.js') });
    const told = await run(request({ current: bytes(file) })).finally(() => delete process.env['KEYWARD_DATABASE_URL']);
    const free = await heardOf(
      fork(builtTest('targets/probing-child.js'), { serialization: 'advanced' }),
      request({ current: bytes(file) }),
    );
    expect(free).toMatchObject({ 'a file': '1234', 'a program': '', 'code from a string': 1 });
    expect(JSON.parse(textOf(valueIn(told)))).toEqual({
      environment: [],
      'a file': 'ERR_ACCESS_DENIED',
      'a folder': 'ERR_ACCESS_DENIED',
      'its open files': 'ERR_ACCESS_DENIED',
      'another environment': 'ERR_ACCESS_DENIED',
      'writing a file': 'ERR_ACCESS_DENIED',
      'a program': 'ERR_ACCESS_DENIED',
      'a thread': 'ERR_ACCESS_DENIED',
      'native code': 'ERR_DLOPEN_DISABLED',
      'code from a string': 'EvalError',
      TCP: 'ECONNREFUSED',
    });
  });

  it.each([
    ['hangs', 'no answer in time', { startMs: 500, timeLimitMs: 1 }],
    ['is busy', 'no answer in time', { startMs: 500, timeLimitMs: 1 }],
    ['ends', 'its process ended', {}],
    ['babbles', 'an answer of no known form', {}],
  ] as const)('that %s is a target that failed: %s', async (kind, detail, limits: Partial<TargetProcessOptions>) => {
    const run = targetProcess({ allow: [], script: builtTest('targets/silent-child.js'), ...limits });
    await expect(run(request({ kind }))).resolves.toEqual({ failure: 'unavailable', detail });
  });

  it('knows no kind but those of its table', async () => {
    await expect(targetProcess({ allow: [] })(request({ kind: 'ftp' }))).resolves.toEqual({ failure: 'invalid', detail: 'target' });
  });

  const connected = (url: string, parts: Partial<TargetTurn> = {}) =>
    request({ connection: bytes(JSON.stringify({ url, signingKey: HMAC_KEY })), ...parts });

  it.each([
    ['loopback', 'https://127.0.0.1/', 'the address is not a public one'],
    ['loopback in IPv6', 'https://[::1]/', 'the address is not a public one'],
    ['loopback as IPv4 in IPv6', 'https://[::ffff:127.0.0.1]/', 'the address is not a public one'],
    ['a private network', 'https://192.168.1.1:8443/', 'the address is not a public one'],
    ['metadata of a cloud', 'https://169.254.169.254/', 'the address is not a public one'],
    ['another port', 'https://127.0.0.1:5432/', 'this port is not allowed'],
    ['plain HTTP', 'http://127.0.0.1/', 'the URL must be https, without a name or password'],
  ])('reaches nothing that the operator does not list: %s', async (_, url, detail) => {
    await expect(targetProcess({ allow: [] })(connected(url))).resolves.toEqual({ failure: 'refused', detail });
  });

  describe('and a webhook that the operator lists', () => {
    let endpoint: RotatingEndpoint;
    beforeEach(async () => void (endpoint = await RotatingEndpoint.start('old')));
    afterEach(() => endpoint.stop());
    const run = (parts: Partial<TargetTurn> = {}) => targetProcess({ allow: [endpoint.origin] })(connected(endpoint.url, parts));

    it.each([
      ['HMAC-SHA-256', HMAC_KEY],
      ['Ed25519', ED25519_KEY],
    ])('take four calls, signed with %s, whose ids name secret, version and step', async (_, signingKey) => {
      const connection = bytes(JSON.stringify({ url: endpoint.url, signingKey }));
      const next = valueIn(await run({ connection, step: 'create' }))!;
      await run({ connection, next });
      await run({ connection, next, step: 'test' });
      expect(endpoint.accepted).toEqual(new Set(['old', textOf(next)]));
      await run({ connection, step: 'retire', current: next, old: bytes('old'), next: undefined });
      expect(endpoint.accepted).toEqual(new Set([textOf(next)]));
      expect(endpoint.calls.map(({ id }) => id)).toEqual(['create', 'apply', 'test', 'finish'].map((step) => `sec_1_sver_1_${step}`));
      expect(textOf(next)).toMatch(/^[!-~]{32}$/);
    });

    it('take back what was applied', async () => {
      await run();
      await run({ step: 'revert' });
      expect(endpoint.accepted).toEqual(new Set(['old']));
      expect(endpoint.calls.at(-1)).toMatchObject({ type: 'keyward.rotation.finish', data: { outcome: 'reverted' } });
    });

    it('may make the value themselves', async () => {
      endpoint.made = (id) => `of ${id}`;
      expect(textOf(valueIn(await run({ step: 'create' })))).toBe('of sec_1_sver_1_create');
    });

    it.each([
      [302, 'refused'],
      [401, 'refused'],
      [422, 'refused'],
      [429, 'unavailable'],
      [500, 'unavailable'],
    ] as const)('answer %d: %s', async (status, failure) => {
      endpoint.fails = { status, headers: { location: endpoint.url } };
      await expect(run()).resolves.toEqual({ failure, detail: `status ${status}` });
      expect(endpoint.calls).toHaveLength(1);
    });

    it.each([
      ['connection', { connection: undefined }],
      ['connection.signingKey', { connection: bytes('{"url":"https://hook.example/","signingKey":"hunter2"}') }],
      ['next', { next: undefined }],
      ['options.length', { options: { length: 7 } }],
      ['value', { current: Uint8Array.of(0xff) }],
    ] as const)('are not called when the shape of %s is wrong', async (detail, parts) => {
      await expect(run(parts)).resolves.toEqual({ failure: 'invalid', detail });
      expect(endpoint.calls).toEqual([]);
    });
  });
});
