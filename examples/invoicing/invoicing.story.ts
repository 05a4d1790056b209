import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkoutPath } from '#runtime';
import { KeywardAdmin } from '#sdk';
import { Invoicing } from './invoicing.js';
import { setStage, type Stage } from './play/platform.js';
import { invoicingServer } from './server.js';
import { readSettings } from './settings.js';

const IBAN = 'DE02 1001 0010 0109 3071 18';

describe('the invoicing service', () => {
  let stage: Stage;
  let service: Invoicing;
  let server: Server;
  beforeAll(async () => {
    stage = await setStage();
    service = await Invoicing.open(stage.settings);
    server = invoicingServer(service);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    for (const tenant of ['acme', 'globex'])
      for (const name of ['Ada', 'Bob']) {
        const { id } = await call(
          'POST',
          `/${tenant}/customers`,
          { name: `${name} of ${tenant}`, iban: name === 'Ada' ? IBAN : 'DE99', phone: '110' },
          201,
        );
        await call('POST', `/${tenant}/invoices`, { customerId: id, cents: 4200, text: `for ${name}` }, 201);
      }
  }, 180_000);
  afterAll(async () => {
    server?.close();
    server?.closeAllConnections();
    await service?.close();
    await stage?.end();
  }, 60_000);

  type Shown = Record<string, string | number | boolean | { sealed: string }> & { id: string };
  async function call<Body = Shown>(method: string, path: string, body?: object, status = 200): Promise<Body> {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
    const response = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
    const answer = (await response.json()) as Body;
    if (response.status !== status) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }
  const names = async (tenant: string) => (await call<Shown[]>('GET', `/${tenant}/customers`)).map(({ name }) => name).sort();
  const raw = () => service.source.query<Record<string, unknown>[]>('select * from invoice order by id');
  const until = async (isSo: () => Promise<boolean>) => {
    const deadline = Date.now() + 20_000;
    while (!(await isSo())) {
      if (Date.now() > deadline) throw new Error('It did not happen in time.');
      await sleep(50);
    }
  };
  const sealed = (reason: string) => ({ sealed: reason });
  const both = (tenant: string) => [`Ada of ${tenant}`, `Bob of ${tenant}`];
  const stopAcme = async () => {
    const { admin } = stage.tenants.acme;
    const { stopId } = await admin.stop('acme', { target: { scope: 'service', service: 'invoicing' } });
    await until(async () => JSON.stringify(await names('acme')).includes('stopped'));
    return async () => {
      await admin.lift('acme', stopId);
      await until(async () => typeof (await names('acme'))[0] === 'string');
    };
  };

  it('shows each tenant its customers and invoices, and keeps nothing readable but the phone', async () => {
    expect([await names('acme'), await names('globex')]).toEqual([both('acme'), both('globex')]);
    const [invoice] = await call<Shown[]>('GET', '/acme/invoices');
    expect(invoice).toMatchObject({ cents: 4200, paid: false, text: expect.stringMatching(/^for (Ada|Bob)$/) });
    const rows = await service.source.query<{ row: string }[]>(
      'select customer::text as row from customer union all select invoice::text from invoice union all select keyward_index_key::text from keyward_index_key',
    );
    const text = rows.map(({ row }) => row).join('\n');
    const hex = (value: string) => Buffer.from(value).toString('hex');
    expect(text).toContain('110');
    for (const value of ['Ada', 'Bob of', 'DE02', 'DE99', 'for Ada']) {
      expect(text).not.toContain(value);
      expect(text).not.toContain(hex(value));
    }
  });

  it('finds a customer by IBAN in its own tenant, however it is written', async () => {
    for (const tenant of ['acme', 'globex'])
      for (const iban of [IBAN, IBAN.replaceAll(' ', '').toLowerCase()]) {
        const found = await call<Shown[]>('GET', `/${tenant}/customers?iban=${encodeURIComponent(iban)}`);
        expect(found.map(({ name }) => name)).toEqual([`Ada of ${tenant}`]);
      }
    expect(await call('GET', '/acme/customers?iban=DE11')).toEqual([]);
  });

  it('of a stopped tenant shows what is sealed, writes it back as it was, and goes on for others; after the lift all is readable', async () => {
    const before = await raw();
    const lift = await stopAcme();
    expect([await names('acme'), await names('globex')]).toEqual([[sealed('stopped'), sealed('stopped')], both('globex')]);
    const [invoice] = await call<Shown[]>('GET', '/acme/invoices');
    expect(invoice).toMatchObject({ customer: sealed('stopped'), text: sealed('stopped'), cents: 4200 });
    expect(await call('POST', `/acme/invoices/${invoice!.id}/paid`)).toMatchObject({ paid: true, text: sealed('stopped') });
    expect(await raw()).toEqual(before.map((row) => (row['id'] === invoice!.id ? { ...row, paid: true } : row)));
    expect(await call('POST', '/acme/customers', { name: 'Eve', iban: 'DE1' }, 409)).toEqual({ error: 'stopped' });
    expect(await call('GET', `/acme/customers?iban=DE99`, undefined, 409)).toEqual({ error: 'stopped' });
    expect(
      await call(
        'POST',
        '/globex/invoices',
        { customerId: (await call<Shown[]>('GET', '/globex/customers'))[0]!.id, cents: 1, text: 'x' },
        201,
      ),
    ).toBeDefined();
    await lift();
    expect(await names('acme')).toEqual(both('acme'));
    expect((await call<Shown[]>('GET', '/acme/invoices')).find(({ id }) => id === invoice!.id)).toMatchObject({
      paid: true,
      text: expect.stringMatching(/^for/),
    });
  });

  it('with Keyward away shows what is sealed and still writes other columns; with Keyward back all is readable', async () => {
    const dataPlane = stage.platform.processes.get('data-plane-1')!;
    await dataPlane.stop();
    service.sealing.wipe();
    expect(await names('globex')).toEqual([sealed('unavailable'), sealed('unavailable')]);
    const before = await raw();
    const { id } = (await service.source.query<{ id: string }[]>(`select id from invoice where tenant = 'globex' limit 1`))[0]!;
    expect(await call('POST', `/globex/invoices/${id}/paid`)).toMatchObject({ paid: true, text: sealed('unavailable') });
    expect(await raw()).toEqual(before.map((row) => (row['id'] === id ? { ...row, paid: true } : row)));
    expect(await call('POST', '/globex/customers', { name: 'Eve', iban: 'DE1' }, 503)).toEqual({ error: 'unavailable' });
    await dataPlane.start();
    expect(await names('globex')).toEqual(both('globex'));
  }, 120_000);

  it('reads what was sealed before a rotation of the key, and after it', async () => {
    const { admin, keyId } = stage.tenants.globex;
    await admin.createKeyVersion('globex', keyId);
    service.sealing.wipe('globex');
    await call('POST', '/globex/customers', { name: 'New', iban: IBAN }, 201);
    expect(await names('globex')).toEqual([...both('globex'), 'New']);
    const found = await call<Shown[]>('GET', `/globex/customers?iban=${encodeURIComponent(IBAN)}`);
    expect(found.map(({ name }) => name).sort()).toEqual(['Ada of globex', 'New']);
    const covered = (await service.sealing.coverage()).filter(({ tenant, column }) => tenant === 'globex' && column === 'name');
    expect(covered.map(({ values, keyId: under, now }) => [values, under, now])).toEqual([
      [2, keyId, 'open'],
      [1, keyId, 'open'],
    ]);
  });

  it('reports what is under no tenant’s key, and asks for no plaintext to do so', async () => {
    const covered = await call<Record<string, unknown>[]>('GET', '/coverage');
    const open = covered.filter(({ state }) => state === 'readable' || state === 'unsealed');
    expect(open.map(({ column, dataClass, tenant, values }) => [column, dataClass, tenant, values])).toEqual([
      ['phone', 'contact', 'acme', 2],
      ['phone', 'contact', 'globex', 2],
    ]);
    const lift = await stopAcme();
    const stopped = (await service.sealing.coverage()).filter(({ tenant, state }) => tenant === 'acme' && state === 'sealed');
    expect(new Set(stopped.map(({ now }) => now))).toEqual(new Set(['stopped']));
    await lift();
  });

  it('is seen by the tenant’s auditor, by data class', async () => {
    const { admin, keyId } = stage.tenants.acme;
    const { apiKey = '' } = await admin.issueCredential('acme', { principal: 'otto', role: 'auditor' });
    const auditor = new KeywardAdmin({ apiKey, keyPlane: stage.platform.urls.keyPlane, auditor: stage.platform.urls.auditor });
    const sealing = async () => {
      const { items } = await auditor.coverage('acme', { values: ['identity', 'payment', 'purchase'] });
      return items.filter(({ operation, value, service }) => operation === 'GenerateDataKey' && value !== null && service === 'invoicing');
    };
    // Counted once they are signed.
    await until(async () => (await sealing()).length === 3);
    expect((await sealing()).map((item) => [item.value, item.keyId]).sort()).toEqual([
      ['identity', keyId],
      ['payment', keyId],
      ['purchase', keyId],
    ]);
  });

  it('runs as a process of its own, with a credential from a file, and ends when told to', async () => {
    const { databaseUrl, apiKey, keywardUrl } = stage.settings;
    const file = stage.platform.dataDir.file('invoicing.json');
    writeFileSync(file, JSON.stringify({ apiKey, dataPlane: keywardUrl }), { mode: 0o600 });
    const env = { PATH: process.env['PATH'], INVOICING_DATABASE_URL: databaseUrl, KEYWARD_CREDENTIALS_FILE: file, PORT: '0' };
    const child = spawn(process.execPath, [checkoutPath('dist', 'examples', 'invoicing', 'main.js')], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const url = /http:\/\/\S+/.exec(line.toString())?.[0];
      expect(await (await fetch(`${url}/acme/customers`)).json()).toHaveLength(2);
    } finally {
      child.kill('SIGTERM');
      expect(child.exitCode ?? (await once(child, 'exit'))[0]).toBe(0);
    }
  });
});

it.each([
  [{ KEYWARD_CREDENTIALS_FILE: 'invoicing.json' }, 'INVOICING_DATABASE_URL'],
  [{ INVOICING_DATABASE_URL: 'postgres://x/y' }, 'KEYWARD_CREDENTIALS_FILE'],
])('says which setting is missing: %j', (environment, name) => {
  expect(() => readSettings(environment as Record<string, string>)).toThrow(name);
});
