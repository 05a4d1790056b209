import { createHash, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkoutPath, openDataDir, prepareSoftHsm } from '#runtime';
import { serverArguments } from '../../libs/runtime/embedded/postgres-settings.js';
import { until } from '../../libs/runtime/embedded/spawn.js';
import { Compose, type Service } from './compose.js';
import { WithoutContainers } from './without-containers.js';

const FILE = checkoutPath('docker-compose.yml');
const ENV = { KEYWARD_PLATFORM_HOST: 'kms.example', REDIS_URL: 'rediss://keyward@redis:6379/0' };
const PLANES = ['key-plane', 'data-plane', 'auditor', 'worker'];
const ALWAYS = ['postgres', 'redis', 'custodian', ...PLANES];

describe('docker-compose.yml', () => {
  let compose: Compose;
  let services: Readonly<Record<string, Service>>;
  const folder = mkdtempSync(join(tmpdir(), 'kw-compose-'));

  beforeAll(async () => {
    compose = await Compose.found();
    services = compose.services(FILE, ENV);
  }, 200_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const changed = (from: string, to: string) => {
    const text = readFileSync(FILE, 'utf8');
    expect(text).toContain(from);
    writeFileSync(join(folder, 'docker-compose.yml'), text.replace(from, to));
    return compose.check(join(folder, 'docker-compose.yml'), ENV);
  };

  it.each([
    ['condition: service_healthy', 'condtion: service_healthy'],
    ['custodian: { condition', 'custodain: { condition'],
    ['- socket-key:/run', '- socket-kye:/run'],
  ])('is checked by Compose, which would find %s as %s', (from, to) => {
    expect(changed(from, to).exit).toBe(1);
  });

  it('asks for the one thing that nobody can guess', () => {
    expect(compose.check(FILE, {})).toEqual({ exit: 1, said: expect.stringContaining('cannot be changed later') });
  });

  it('gives no service of ours more than it needs', () => {
    const ours = Object.entries(services).filter(([, { image }]) => image === 'keyward:local');
    expect(ours).toHaveLength(11);
    for (const [name, { user, read_only, cap_drop }] of ours)
      expect([name, user, read_only, cap_drop]).toEqual([name, name === 'set-up' ? '0:0' : '10001:10001', true, ['ALL']]);
    const mounts = (part: string) =>
      Object.keys(services).filter((name) => name !== 'set-up' && services[name]!.volumes.some((of) => of.includes(part)));
    expect(mounts('/custodian:/etc')).toEqual(['custodian', 'token']);
    // Who makes backups reads the token, and has not what opens it.
    expect(mounts('token:')).toEqual(['backup', 'custodian', 'token']);
    for (const volume of services['backup']!.volumes) expect(volume).toMatch(/:ro$|:\/backups(:rw)?$/);
    expect(mounts('socket-data:')).toEqual(['custodian', 'data-plane']);
    expect(mounts('socket-key:')).toEqual(['custodian', 'first-operator', 'key-plane']);
    expect(mounts('socket-worker:')).toEqual(['custodian', 'worker']);
    for (const name of ['custodian', 'token', 'set-up']) expect(services[name]!.network_mode).toBe('none');
    for (const [name, { ports }] of Object.entries(services))
      for (const port of ports) expect([name, port]).toEqual([name, expect.stringMatching(/^127\.0\.0\.1:/)]);
  });

  it('runs PostgreSQL and SoftHSM with the settings that are tested', async () => {
    const own = serverArguments(0).filter(
      (argument) => argument !== '-c' && !/^(port|listen_addresses|unix_socket_directories)=/.test(argument),
    );
    const { command } = services['postgres']!;
    for (const setting of own) expect(command).toContain(`-c${setting}`);
    chmodSync(folder, 0o755);
    const { configFile } = await prepareSoftHsm({ dataDir: openDataDir(join(folder, 'data')) });
    const lines = (text: string) => text.split('\n').filter((line) => !line.startsWith('directories.tokendir'));
    expect(lines(readFileSync(checkoutPath('deploy', 'softhsm2.conf'), 'utf8'))).toEqual(lines(readFileSync(configFile, 'utf8')));
  });

  describe('its services, as processes', () => {
    let platform: WithoutContainers;
    beforeAll(async () => {
      platform = new WithoutContainers(services);
      await platform.up();
    }, 200_000);
    afterAll(() => platform?.down(), 60_000);

    it('come up in the order that Compose keeps, and are healthy', () => {
      const order = platform.inOrder();
      expect(order.indexOf('set-up')).toBe(0);
      expect(order.indexOf('key-plane')).toBeLessThan(order.indexOf('data-plane'));
      for (const name of ALWAYS) expect([name, platform.isHealthy(name)]).toEqual([name, true]);
    });

    it('serve the CLI over TLS', () => {
      const { exit, out, err } = platform.run('cli', 'tenant', 'onboard', 'acme', '--name', 'Acme Ltd', '--json');
      expect({ exit, err }).toEqual({ exit: 0, err: expect.any(String) });
      expect(JSON.parse(out)).toMatchObject({ enrolmentCode: expect.any(String) });
    });

    it('do what is due, by the queue in Redis', async () => {
      const finished = () => /"?completed"?/.test(platform.askRedis('XREVRANGE', 'keyward:due:events', '+', '-', 'COUNT', '50'));
      expect(await until(finished, 30_000, 200)).toBe(true);
      expect(platform.log('worker')).not.toMatch(/"level":(50|60)/);
    });

    it('tell their metrics to who has the token, and the custodian tells its own by a file', async () => {
      for (const [name, port] of [
        ['key-plane', '7710'],
        ['data-plane', '7720'],
        ['auditor', '7730'],
        ['worker', '7740'],
      ] as const) {
        expect([name, platform.metrics(name, port, undefined).status]).toEqual([name, '401']);
        const { status, text } = platform.metrics(name, port, 'metrics/token');
        expect([name, status, text]).toEqual([name, '200', expect.stringContaining('keyward_ready 1')]);
      }
      expect(readFileSync(platform.file('custodian-metrics/custodian.prom'), 'utf8')).toContain('keyward_hsm_operations_total');
    });

    it('are backed up by one that runs to its end', () => {
      expect(platform.run('backup').exit).not.toBe(0);
      expect(readdirSync(platform.file('backups'))).toEqual([]);
      const { publicKey } = generateKeyPairSync('x25519');
      writeFileSync(platform.file('backup/backup.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
      expect(platform.run('backup')).toMatchObject({ exit: 0, err: expect.stringContaining('Saved as of') });
      const [archive, rows, sums] = readdirSync(platform.file('backups')).sort();
      expect([archive, rows, sums]).toEqual(
        ['.custody.kwb', '.rows.kwb', '.sums'].map((end) => expect.stringMatching(new RegExp(`Z\\${end}$`))),
      );
      for (const line of readFileSync(platform.file(`backups/${sums}`), 'utf8')
        .trim()
        .split('\n')) {
        const [sum, name] = line.split('  ') as [string, string];
        expect(
          createHash('sha256')
            .update(readFileSync(platform.file(`backups/${name}`)))
            .digest('hex'),
        ).toBe(sum);
      }
    });

    it('are set up once: a second run changes nothing', () => {
      expect(platform.run('set-up')).toMatchObject({ exit: 0 });
      expect(platform.run('provision')).toMatchObject({ exit: 0 });
      expect(platform.run('token')).toMatchObject({ exit: 0 });
      expect(platform.run('first-operator')).toMatchObject({ exit: 0 });
      expect(platform.run('cli', 'tenant', 'list')).toMatchObject({ exit: 0, out: expect.stringContaining('acme') });
    });

    it('keep their secrets out of environments, commands and logs', () => {
      const seen = [JSON.stringify(services), ...ALWAYS.map((name) => platform.log(name))];
      for (const text of seen) expect(platform.secretsIn(text)).toBe(false);
    });

    it('are unhealthy when they are gone', async () => {
      await platform.kill('custodian');
      expect(platform.isHealthy('custodian')).toBe(false);
      await platform.kill('redis');
      expect(platform.isHealthy('redis')).toBe(false);
      await platform.kill('auditor');
      expect(platform.isHealthy('auditor')).toBe(false);
    });
  });
});
