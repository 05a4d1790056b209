import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { checkoutPath, inheritedEnvironment } from '#runtime';
import { KeywardClient, NotFound, Refused, RuleListener, Secrets, Stopped } from '#sdk';
import { eventually } from '../../apps/custodian/test-bed.js';
import { must } from './api.js';
import { CommandLine } from './command-line.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from './onboarded.js';

const VALUE = { username: 'app', password: 'hunter2' };

describe('secrets, as programs use them', () => {
  let world: Onboarded;
  let commandLine: CommandLine;
  let secrets: Secrets;
  const folder = mkdtempSync(join(tmpdir(), 'kw-secrets-'));
  const running: ChildProcess[] = [];

  beforeAll(async () => {
    world = await onboarded();
    commandLine = new CommandLine(world, world.acme, 'admin');
    await commandLine.asBilling(world, 'doctor', '--key', 'alias/invoices'); // writes the profile of billing
    const grants = [
      ...INVOICE_POLICY.grants,
      {
        id: 'secrets',
        subjects: ['svc:billing'],
        objects: ['secret:app/*'],
        operations: ['GetSecretValue', 'PutSecretValue', 'DescribeSecret'],
      },
      { id: 'their-key', subjects: ['svc:billing'], objects: ['alias/invoices'], operations: ['Decrypt', 'GenerateDataKey'] },
    ];
    const policy = { ...INVOICE_POLICY, grants };
    await admin('PUT', '/policy', policy, { 'if-match': '"1"' });
    for (const [name, value] of [
      ['app/db', JSON.stringify(VALUE)],
      ['app/token', 'first'],
      ['other/token', 'not for billing'],
    ] as const)
      await admin('POST', '/secrets', { name, keyId: 'alias/invoices', value: Buffer.from(value).toString('base64') });
    secrets = new Secrets({ apiKey: world.billing, url: world.platform.urls.dataPlanes[0]! });
  }, 180_000);
  afterAll(async () => {
    for (const child of running) child.kill('SIGKILL');
    secrets?.close();
    commandLine?.remove();
    await world?.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const admin = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);
  const reads = async (): Promise<number> => {
    const path = '/v1/tenants/acme/records?op=GetSecretValue&limit=100';
    return ((await must(world.platform.urls.auditor, world.acme.auditor, 'GET', path)).body['items'] as unknown[]).length;
  };
  /** The command line as a process of its own, as billing. */
  function keyward(...argv: readonly string[]): {
    child: ChildProcess;
    out: Promise<string>;
    talk: Promise<string>;
    exit: Promise<number | null>;
  } {
    const global = ['--credentials', commandLine.file('billing.json'), '--tenant', 'acme'];
    const child = spawn(process.execPath, [checkoutPath('dist', 'apps', 'cli', 'main.js'), ...global, ...argv], {
      env: inheritedEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.push(child);
    return {
      child,
      out: text(child.stdout),
      talk: text(child.stderr),
      exit: once(child, 'close').then(([code]) => code as number | null),
    };
  }

  describe('by the SDK', () => {
    const token = { tenant: 'acme', secretId: 'app/token' };

    it('are read once and then held; what is put is there at once', async () => {
      const before = await reads();
      expect([await secrets.getText(token), await secrets.getText(token)]).toEqual(['first', 'first']);
      expect((await reads()) - before).toBe(1);
      const put = await secrets.put({ ...token, value: 'second' });
      expect(put).toMatchObject({ name: 'app/token', labels: ['ACSCurrent'], record: expect.any(Number) });
      expect(await secrets.getText(token)).toBe('second');
      expect(await secrets.getText({ ...token, label: 'ACSPrevious' })).toBe('first');
      expect(await secrets.describe(token)).toMatchObject({ name: 'app/token', labels: { ACSCurrent: put.versionId } });
    }, 60_000);

    it('come many at once, each with an error of its own', async () => {
      const items = ['app/token', 'app/nothing', 'other/token', 'app/db'].map((secretId) => ({ secretId }));
      const results = await secrets.getMany('acme', items);
      expect(results.map((one) => ('error' in one ? one.error.constructor : one.name))).toEqual(['app/token', Refused, Refused, 'app/db']);
      await expect(secrets.get({ ...token, versionId: 'nothing' })).rejects.toThrow(NotFound);
    });

    it('are wiped by a stop, and refused from then on until it is lifted', async () => {
      const client = new KeywardClient({ apiKey: world.billing, url: world.platform.urls.dataPlanes[0]! });
      const listener = new RuleListener([client], 'acme', [secrets]);
      await secrets.getText(token);
      const stop = await admin('POST', '/stops', { target: { scope: 'key', keyId: world.acme.keyId } });
      await eventually(() =>
        secrets.getText(token).then(
          () => false,
          (error) => error instanceof Stopped,
        ),
      );
      await admin('DELETE', `/stops/${String(stop.body['stopId'])}`);
      expect(await secrets.getText(token)).toBe('second');
      await listener.close();
      client.close();
    }, 60_000);
  });

  describe('keyward run', () => {
    const print = [
      '--',
      process.execPath,
      '-e',
      'console.log(process.env.TOKEN, process.env.PGUSER, process.env.DB_PASSWORD); process.exit(7)',
    ];

    it('gives them to one program, and ends as it does', async () => {
      const ran = keyward('run', '--secret', 'app/token', '--secret', 'app/db#username=PGUSER', '--secret', 'app/db#password', ...print);
      expect({ exit: await ran.exit, out: await ran.out, talk: await ran.talk }).toEqual({
        exit: 7,
        out: 'second app hunter2\n',
        talk: '',
      });
    }, 60_000);

    it('hands signals on', async () => {
      const ran = keyward('run', '--secret', 'app/token', '--', process.execPath, '-e', 'console.log("up"); setInterval(() => {}, 1000)');
      await once(ran.child.stdout!, 'data');
      ran.child.kill('SIGTERM');
      expect(await ran.exit).toBe(128 + 15);
    }, 60_000);

    it.each([
      ['that is not granted', 'other/token', 3, /other\/token cannot be read/],
      ['of a field that is not there', 'app/db#port', 2, /app\/db is no JSON object with .* under port/],
      ['of a field of what is no object', 'app/token#x', 2, /app\/token is no JSON object/],
      ['of no name', 'app db', 2, /must be NAME/],
      ['for what is no variable', 'app/token=1X', 2, /1X cannot be its place/],
    ])(
      'starts nothing for a secret %s',
      async (_, secret, exit, talk) => {
        const ran = keyward('run', '--secret', secret, ...print);
        expect({ exit: await ran.exit, out: await ran.out }).toEqual({ exit, out: '' });
        expect(await ran.talk).toMatch(talk);
        expect(await ran.talk).not.toContain('hunter2');
      },
      60_000,
    );

    it('says 127 for a program that is not there', async () => {
      expect(await keyward('run', '--secret', 'app/token', '--', '/no/such/program').exit).toBe(127);
    }, 60_000);
  });

  describe('keyward secret-files', () => {
    it('writes them for nobody else, and only when they differ', async () => {
      const to = join(folder, 'once');
      const argv = ['--json', 'secret-files', to, '--secret', 'app/db#password', '--secret', 'app/token=t'];
      const first = keyward(...argv);
      expect(JSON.parse(await first.out)).toEqual({ folder: to, files: ['db.password', 't'] });
      expect(readFileSync(join(to, 'db.password'), 'utf8')).toBe('hunter2');
      expect([to, join(to, 't')].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o600]);
      expect(JSON.parse(await keyward(...argv).out)).toEqual({ folder: to, files: [] });
    }, 60_000);

    it('follows a secret, and takes the files away when it is stopped', async () => {
      const to = join(folder, 'watched');
      const watching = keyward('secret-files', to, '--secret', 'app/token', '--watch', '1');
      const holds = async (value: string) => existsSync(join(to, 'token')) && readFileSync(join(to, 'token'), 'utf8') === value;
      await eventually(() => holds('second'));
      await secrets.put({ tenant: 'acme', secretId: 'app/token', value: 'third' });
      await eventually(() => holds('third'));
      const stop = await admin('POST', '/stops', { target: { scope: 'everything' } });
      expect(await watching.exit).toBe(3);
      expect(existsSync(join(to, 'token'))).toBe(false);
      await admin('DELETE', `/stops/${String(stop.body['stopId'])}`);
    }, 60_000);

    it('takes the files away when it is ended', async () => {
      const to = join(folder, 'ended');
      const watching = keyward('secret-files', to, '--secret', 'app/token', '--watch', '60');
      await eventually(async () => existsSync(join(to, 'token')));
      watching.child.kill('SIGTERM');
      expect(await watching.exit).toBe(0);
      expect(existsSync(join(to, 'token'))).toBe(false);
    }, 60_000);

    it('writes into no folder that others may enter', async () => {
      const open = join(folder, 'open');
      mkdirSync(open);
      chmodSync(open, 0o755);
      writeFileSync(join(folder, 'file'), '');
      for (const to of [open, join(folder, 'file')]) {
        const refused = keyward('secret-files', to, '--secret', 'app/token');
        expect(await refused.exit).toBe(2);
      }
    }, 60_000);
  });
});
