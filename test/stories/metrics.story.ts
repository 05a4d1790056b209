import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCli } from '../../apps/cli/program.js';
import { checkoutPath, loadConfig } from '#runtime';
import { api } from './api.js';
import { type Onboarded, onboarded } from './onboarded.js';

/** Operators see how much is asked and how it goes, of the platform as a whole; who asked for what is the tenants' own. */
describe('the metrics of a platform', () => {
  let world: Onboarded;
  beforeAll(async () => void (world = await onboarded()), 180_000);
  afterAll(() => world?.stop(), 60_000);

  const planes = () => {
    const { keyPlane, dataPlanes, auditor, worker } = world.platform.urls;
    return [keyPlane, dataPlanes[0]!, auditor, worker];
  };
  const token = () => readFileSync(world.platform.dataDir.file('metrics-token'), 'utf8');
  const scraped = async (url: string) => String((await api(url, token(), 'GET', '/metrics')).body['text']);
  const custodian = () => readFileSync(join(world.platform.dataDir.custodian, 'custodian.prom'), 'utf8');
  const value = (text: string, sample: string) =>
    Number(new RegExp(`^${sample.replaceAll(/[{}]/g, '\\$&')} (.+)$`, 'm').exec(text)?.[1] ?? 0);

  it('are told to whoever has the token, and to nobody else', async () => {
    for (const url of planes()) {
      expect((await api(url, token(), 'GET', '/metrics')).status).toBe(200);
      for (const wrong of [undefined, world.operator, 'x'.repeat(32)]) expect((await api(url, wrong, 'GET', '/metrics')).status).toBe(401);
    }
  });

  it('count what the HSM was used for as often as the trail does, and name no tenant', async () => {
    const encrypt = (tenant: 'acme' | 'globex') =>
      api(planes()[1]!, world.billing, 'POST', `/v1/tenants/${tenant}/encrypt`, {
        ...{ keyId: world[tenant].keyId, plaintext: 'eA==', encryptionContext: { purpose: 'invoice' } },
      });
    for (let calls = 0; calls < 3; calls++) expect((await encrypt('acme')).status).toBe(200);
    expect((await encrypt('globex')).status).toBe(403);

    const text = await scraped(planes()[1]!);
    expect(value(text, 'keyward_requests_total{operation="Encrypt",status="200"}')).toBe(3);
    expect(value(text, 'keyward_requests_total{operation="Encrypt",status="403"}')).toBe(1);
    expect(value(text, 'keyward_records_total{operation="Encrypt",outcome="succeeded"}')).toBe(3);
    expect(value(text, 'keyward_records_total{operation="Encrypt",outcome="refused"}')).toBe(1);
    expect(value(text, 'keyward_request_seconds_count{operation="Encrypt"}')).toBe(4);
    expect(value(text, 'keyward_ready')).toBe(1);
    const used = () => value(custodian(), 'keyward_hsm_operations_total{plane="data",operation="encrypt"}');
    for (let tries = 0; used() === 0 && tries < 300; tries++) await sleep(200);
    expect(used()).toBe(3);

    const told = [...(await Promise.all(planes().map(scraped))), custodian()].join('');
    expect(told).not.toMatch(/acme|globex|billing|key_|crd_/);
    expect(value(told, 'keyward_trail_records')).toBeGreaterThan(10);
    expect(Math.abs(value(told, 'keyward_clock_offset_seconds'))).toBeLessThan(60);
  });

  it('stand beside the ends of the logs in a support bundle, from which planted secrets are gone', async () => {
    const { dataDir } = world.platform;
    const secrets = [
      readFileSync(join(dataDir.hsm, 'pin'), 'utf8'),
      token(),
      world.operator,
      readFileSync(dataDir.file('pepper')).toString('hex'),
    ];
    appendFileSync(join(dataDir.logs, 'key-plane.log'), `{"msg":"planted","secrets":${JSON.stringify(secrets)}}\n`);
    const out = join(dataDir.root, 'support.json');
    const talk = new PassThrough().resume();
    const exit = await runCli(
      ['support-bundle', '--data-dir', dataDir.root, '--out', out, '--credentials', world.platform.credentialsFile],
      { in: Readable.from([]), out: talk, talk },
      () => loadConfig('cli'),
    );
    expect(exit).toBe(0);
    const text = readFileSync(out, 'utf8');
    for (const secret of secrets) expect(text).not.toContain(secret);
    const bundle = JSON.parse(text) as { ready: object; database: { migrations: object[] }; logs: Record<string, string[]> };
    expect(bundle.logs['key-plane.log']!.at(-1)).toContain('planted');
    expect(bundle.database.migrations.length).toBeGreaterThan(50);
    expect(bundle.ready).toMatchObject({ keyPlane: {} });
  });

  it('are all that dashboard and alert rules ask for', async () => {
    const told = [...(await Promise.all(planes().map(scraped))), custodian()].join('');
    const known = new Set([...told.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!));
    for (const file of ['grafana-dashboard.json', 'prometheus-rules.yml']) {
      const text = readFileSync(checkoutPath('deploy', file), 'utf8');
      const asked = new Set(
        [...text.matchAll(/\b(?:keyward|process)_[a-z_]+\b/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, '')),
      );
      expect(asked.size).toBeGreaterThan(5);
      expect([file, [...asked].filter((name) => !known.has(name))]).toEqual([file, []]);
    }
    // An alert about a status or an outcome that nobody gives would be silent for ever.
    expect(told).toMatch(/keyward_records_total\{operation="Encrypt",outcome="(succeeded|refused)"\}/);
  });
});
