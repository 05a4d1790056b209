import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Get, Post } from '@nestjs/common';
import { type Call, KeywardError, Pipeline, type RateLimitsOfTenant, TrailUnavailable } from '#core';
import type { OperationName, TenantId } from '#contract';
import { MAX_LOOK_UPS } from './authentication.js';
import { Calling, createPlane, Operation, RateLimits, routesOf } from './index.js';
import { FAILURE_LIMIT } from './rate-limits.js';
import { TenantRates } from './tenant-rates.js';
import { FakeCredentials, FakePlane, KEYS } from './test/fake-plane.js';

let plane: FakePlane;
beforeEach(async () => {
  plane = await FakePlane.start();
});
afterEach(() => plane.stop());

const encrypt = '/v1/tenants/acme/encrypt';
const keys = '/v1/tenants/acme/keys';

describe('a caller whom nobody knows', () => {
  it.each([
    ['malformed JSON', '{"keyId":'],
    ['an empty body', ''],
    ['a body that is too large', 'x'.repeat(200_000)],
  ])('is refused before %s is looked at', async (_, body) => {
    const answer = await plane.ask('POST', encrypt, body);
    expect(answer.statusCode).toBe(401);
    expect(answer.json()).toMatchObject({ code: 'unauthenticated', status: 401, retryable: false });
    expect(answer.headers).toMatchObject({
      'www-authenticate': 'Bearer',
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
    });
    expect(plane.pipeline.refused).toEqual([]);
  });

  it.each([
    '',
    'Basic a3c6eA==',
    'Bearer',
    'Bearer  ',
    'Bearer kw_',
    `Bearer kw_${KEYS.admin}`,
    `Bearer ${KEYS.admin} ${KEYS.admin}`,
    `Bearer ${KEYS.admin.slice(0, -1)}`,
  ])('is refused with "%s"', async (authorization) => {
    expect((await plane.ask('POST', encrypt, '{}', { headers: { authorization } })).statusCode).toBe(401);
  });

  it('meets 401 on every route of the registry but the public ones, HEAD and OPTIONS included', async () => {
    for (const { method, url, public: reason } of routesOf(plane.fastify)) {
      if (reason !== undefined) continue;
      const path = url.replace(/:\w+/g, 'x');
      for (const verb of [method, 'HEAD', 'OPTIONS'])
        expect([verb, path, (await plane.ask(verb as 'GET', path)).statusCode]).toEqual([verb, path, 401]);
    }
  });

  it('cannot tell an unknown route from a known one', async () => {
    expect((await plane.ask('GET', '/nothing')).statusCode).toBe(401);
    expect((await plane.ask('GET', '/nothing', undefined, { as: 'admin' })).statusCode).toBe(404);
    expect((await plane.ask('GET', '/v1/%zz')).statusCode).toBe(401);
    expect((await plane.ask('GET', '/v1/%zz', undefined, { as: 'admin' })).statusCode).toBe(400);
  });

  it('is turned away without a look-up after too many failures, and nobody else at its address is', async () => {
    const wrong = { headers: { authorization: `Bearer ${KEYS.fresh.replace('fresh', 'eve00')}` } };
    for (let i = 0; i <= FAILURE_LIMIT.points; i++) await plane.ask('POST', encrypt, '{}', wrong);
    const { lookUps } = plane.credentials;
    expect((await plane.ask('POST', encrypt, '{}', wrong)).statusCode).toBe(429);
    expect(plane.credentials.lookUps).toBe(lookUps);
    expect((await plane.ask('GET', keys, undefined, { as: 'fresh' })).statusCode).toBe(200);
  });

  it('costs no look-up with what is no API key, and is told 401 however often', async () => {
    const wrong = { headers: { authorization: `Bearer ${KEYS.fresh.slice(0, -1)}` } };
    for (let i = 0; i <= FAILURE_LIMIT.points + 1; i++) expect((await plane.ask('GET', keys, undefined, wrong)).statusCode).toBe(401);
    expect(plane.credentials.lookUps).toBe(0);
  });

  it('is told 503 while too many are looked up at once; who is known is served', async () => {
    const looking = Promise.withResolvers<void>();
    const { authenticate } = FakeCredentials.prototype;
    plane.credentials.authenticate = async (apiKey) => {
      await looking.promise;
      return await authenticate.call(plane.credentials, apiKey);
    };
    const first = Array.from({ length: MAX_LOOK_UPS }, () => plane.ask('GET', keys, undefined, { as: 'fresh' }));
    await sleep(50);
    const late = await Promise.race([plane.ask('GET', keys, undefined, { as: 'fresh' }), sleep(2000)]);
    expect([late?.statusCode, late?.headers['retry-after']]).toEqual([503, '1']);
    expect((await plane.ask('GET', keys, undefined, { as: 'admin' })).statusCode).toBe(200);
    looking.resolve();
    expect(new Set((await Promise.all(first)).map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
    expect((await plane.ask('GET', keys, undefined, { as: 'fresh' })).statusCode).toBe(200);
  });
});

describe('no spelling of a path leads around the edge', () => {
  const targets = [
    '//v1/tenants/acme/keys',
    '/v1//tenants/acme/keys',
    '/v1/tenants/%61cme/keys',
    '/%761/tenants/acme/keys',
    '/v1/tenants/acme/keys/',
    '/v1/tenants/acme/KEYS',
    '/v1/tenants/acme/keys;x',
    '/v1/tenants/acme/keys?x=1',
    '/v1/tenants/./acme/keys',
    '/v1/tenants/acme/../acme/keys',
    '/v1/tenants/acme/keys%2f',
    '/v1/tenants/acme/keys%00',
    '/livez/../v1/tenants/acme/keys',
    '/livez%2f..%2fv1',
    'http://evil/v1/tenants/acme/keys',
    'http://evil//v1/tenants/acme/keys',
    '*v1/tenants/acme/keys',
    '*',
  ];
  const methods = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'PROPFIND', 'TRACE', 'QUERY'];

  it('answers 4xx to all of them, raw on the socket, and reaches no controller', async () => {
    const port = await plane.listen();
    for (const method of methods) {
      for (const target of targets) {
        const status = await rawStatus(port, `${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
        expect([method, target, status]).toEqual([method, target, expect.stringMatching(/^(400|401)$/)]);
      }
    }
    expect(plane.pipeline.ran).toEqual([]);
    expect(plane.pipeline.refused).toEqual([]);
  });

  it('reaches the controller with a credential: the harness can see it', async () => {
    const port = await plane.listen();
    await rawStatus(
      port,
      `GET /v1/tenants/%61cme/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEYS.admin}\r\nConnection: close\r\n\r\n`,
    );
    expect(plane.pipeline.ran).toHaveLength(1);
  });

  it('closes on what is not HTTP, and repeats nothing of it', async () => {
    const port = await plane.listen();
    const text = await raw(port, `GET / HTTP/1.1\r\nHost: x\r\nBad Header ${KEYS.admin}\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1.1 400 Bad Request/);
    expect(text).not.toContain('kw_');
  });
});

describe('a known caller', () => {
  it('becomes the call: principal, tenant of the path, an id of ours', async () => {
    const answer = await plane.ask('GET', '/v1/tenants/acme/keys', undefined, {
      as: 'admin',
      headers: { 'x-request-id': 'mine', 'request-id': 'mine' },
    });
    const { call } = plane.pipeline.ran[0]!;
    expect(call).toMatchObject({ tenant: 'acme', principal: { role: 'admin', name: 'alice' }, requestId: expect.stringMatching(/^req_/) });
    expect(answer.headers['x-request-id']).toBe(call.requestId);
    expect(Math.abs(Date.now() - call.startedAt)).toBeLessThan(5000);
  });

  it('is looked up through Passport when it is not in the cache', async () => {
    expect((await plane.ask('GET', '/v1/tenants/acme/keys', undefined, { as: 'fresh' })).statusCode).toBe(200);
    expect(plane.pipeline.ran[0]!.call.principal.name).toBe('fresh');
  });

  it('is told 503 while that look-up is impossible', async () => {
    plane.credentials.failWith = new TrailUnavailable('connect 10.1.2.3:5432');
    const answer = await plane.ask('GET', '/v1/tenants/acme/keys', undefined, { as: 'fresh' });
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '1']);
    expect(answer.body).not.toContain('10.1.2.3');
  });

  it('asks for no tenant at all with a malformed one: the pipeline refuses it as unknown', async () => {
    for (const name of ['ACME', 'a', '%00', "a'b", 'x'.repeat(60)])
      await plane.ask('GET', `/v1/tenants/${name}/keys`, undefined, { as: 'admin' });
    expect(new Set(plane.pipeline.ran.map(({ call }) => call.tenant))).toEqual(new Set(['-']));
  });
});

describe('rate limits', () => {
  const few = { points: 2, duration: 60 };
  const limits = () => new RateLimits({ use: few, manage: few, read: few });

  it('count by credential and class, before the body is parsed, and say when to come back', async () => {
    await plane.stop();
    plane = await FakePlane.start({ limits: limits() });
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await plane.ask('POST', encrypt, '{"not json', { as: 'service' })).statusCode);
    expect(statuses).toEqual([400, 400, 429, 429]);
    const answer = await plane.ask('POST', encrypt, '{}', { as: 'service' });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(1);
    expect((await plane.ask('GET', '/v1/tenants/acme/keys', undefined, { as: 'admin' })).statusCode).toBe(200);
    expect(plane.pipeline.refused).toHaveLength(2);
  });

  it('never tell who may stop to come back later', async () => {
    @Controller('v1/tenants/:tenant/keys/:key')
    class Stops {
      constructor(private readonly pipeline: Pipeline<OperationName>) {}

      @Post('disable')
      @Operation('DisableKey')
      disable(@Calling() call: Call) {
        return this.pipeline.run('DisableKey', call, { keyId: 'k' as never });
      }
    }
    await plane.stop();
    plane = await FakePlane.start({ controllers: [Stops], limits: limits() });
    const statuses = async (tenant: string, as: 'admin' | 'service') => {
      const answers = [];
      for (let i = 0; i < 4; i++)
        answers.push((await plane.ask('POST', `/v1/tenants/${tenant}/keys/k/disable`, undefined, { as })).statusCode);
      return answers;
    };
    expect(await statuses('other', 'admin')).toEqual([200, 200, 429, 429]);
    expect(await statuses('acme', 'service')).toEqual([200, 200, 429, 429]);
    expect(await statuses('acme', 'admin')).toEqual([200, 200, 200, 200]);
  });

  it('that fail by a defect end the call, not the process', async () => {
    await plane.stop();
    const broken = Object.assign(new RateLimits(), { spend: () => Promise.reject(new Error('a defect')) });
    plane = await FakePlane.start({ limits: broken });
    const answer = await Promise.race([plane.ask('GET', keys, undefined, { as: 'admin' }), sleep(2000)]);
    expect(answer?.statusCode).toBe(500);
    expect(answer?.json()).toMatchObject({ code: 'internal' });
    expect(plane.lines).toHaveLength(1);
  });
});

describe("a tenant's quotas of calls", () => {
  const limited = async (of: RateLimitsOfTenant) => {
    const tenants = new TenantRates(() => 0);
    tenants.follow({ rateQuotas: () => Promise.resolve(new Map([['acme' as TenantId, of]])) }, () => undefined);
    await plane.stop();
    plane = await FakePlane.start({ limits: Object.assign(new RateLimits(), { tenants }) });
    return tenants;
  };
  const statuses = async (times: number, ask: () => Promise<{ statusCode: number }>) => {
    const counts: Record<number, number> = {};
    for (let n = 0; n < times; n++) {
      const { statusCode } = await ask();
      counts[statusCode] = (counts[statusCode] ?? 0) + 1;
    }
    return counts;
  };

  it('are not spent by whoever may not make the call at all', async () => {
    const tenants = await limited({ readRate: 2 });
    const list = (as: 'admin' | 'service') => () => plane.ask('GET', keys, undefined, { as });
    expect(await statuses(30, list('service'))).toEqual({ 200: 30 });
    expect(await statuses(21, list('admin'))).toEqual({ 200: 20, 429: 1 });
    // Nor are they given back what was never counted.
    plane.pipeline.answer = () => Promise.reject(new KeywardError('not-allowed'));
    expect(await statuses(9, list('service'))).toEqual({ 403: 9 });
    expect(await statuses(1, list('admin'))).toEqual({ 429: 1 });
    tenants.close();
  });

  it('are not spent by a service to whom nothing is granted, or by what nobody can read', async () => {
    const tenants = await limited({ useRate: 4 });
    const one = { keyId: 'alias/invoices', plaintext: 'AA==' };
    const post = (path: string, body: unknown) => () =>
      plane.ask('POST', `/v1/tenants/acme/${path}`, JSON.stringify(body), { as: 'service' });
    // Not allowed is what a plane answers that serves no services.
    for (const code of ['not-granted', 'not-allowed'] as const) {
      plane.pipeline.answer = () => Promise.reject(new KeywardError(code));
      expect(await statuses(9, post('encrypt', one))).toEqual({ 403: 9 });
    }
    expect(await statuses(9, post('encrypt', {}))).toEqual({ 400: 9 });
    expect(await statuses(9, post('encrypt/batch', { items: [one, {}, one] }))).toEqual({ 200: 9 });
    // Only who was granted it learns of the key's state.
    plane.pipeline.answer = () => Promise.reject(new KeywardError('key-disabled'));
    expect(await statuses(5, post('encrypt', one))).toEqual({ 409: 4, 429: 1 });
    tenants.close();
  });
});

describe('a plane that closes', () => {
  it('finishes what it has begun and tells all else 503, as a problem', async () => {
    const port = await plane.listen();
    const begun = Promise.withResolvers<void>();
    const { answer } = plane.pipeline;
    plane.pipeline.answer = async (operation, input) => {
      await begun.promise;
      return await answer(operation, input);
    };
    const get = `GET ${keys} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEYS.admin}\r\n\r\n`;
    const socket = connect(port, '127.0.0.1');
    const received = everything(socket);
    socket.write(get);
    while (plane.pipeline.ran.length === 0) await sleep(5);
    const closed = plane.stop();
    await sleep(50);
    socket.write(get);
    await sleep(50);
    begun.resolve();
    const [first, second] = (await received).split(/(?=HTTP\/1\.1 )/);
    expect(first).toMatch(/^HTTP\/1\.1 200 /);
    expect(second).toMatch(/^HTTP\/1\.1 503 [^]*application\/problem\+json[^]*"code":"unavailable"/);
    expect(second).toMatch(/retry-after: 1\r\n/i);
    expect(plane.pipeline.ran).toHaveLength(1);
    await closed;
  });
});

describe('the route inventory', () => {
  it('has exactly three public routes', () => {
    const open = routesOf(plane.fastify).filter((route) => route.public !== undefined);
    expect(open.map(({ method, url }) => `${method} ${url}`).sort()).toEqual(['GET /livez', 'GET /openapi.json', 'GET /readyz']);
  });

  it('refuses to start with a route that has neither an operation nor a reason to be public', async () => {
    @Controller()
    class Forgotten {
      @Get('forgotten')
      read() {
        return {};
      }
    }
    await expect(FakePlane.start({ controllers: [Forgotten] })).rejects.toThrow('GET /forgotten needs either @Operation or @Public.');
  });
});

describe('public routes', () => {
  it('tell health without names of hosts, and 503 when not ready', async () => {
    expect((await plane.ask('GET', '/livez')).json()).toEqual({ status: 'live' });
    const ready = await plane.ask('GET', '/readyz');
    expect([ready.statusCode, ready.json()]).toEqual([503, { status: 'not-ready', reasons: ['database'] }]);
  });

  it('serve the OpenAPI 3.1 document', async () => {
    const { openapi, paths } = (await plane.ask('GET', '/openapi.json')).json<{ openapi: string; paths: object }>();
    expect(openapi).toBe('3.1.0');
    expect(Object.keys(paths)).toContain('/v1/tenants/{tenant}/encrypt');
  });

  it('reveal no software, are not kept, and allow no other origin', async () => {
    const { headers } = await plane.ask('GET', '/livez', undefined, {
      headers: { origin: 'https://evil.example', 'accept-encoding': 'gzip' },
    });
    expect(Object.keys(headers).sort()).toEqual(['cache-control', 'connection', 'content-length', 'content-type', 'date', 'x-request-id']);
  });
});

it('refuses to be built twice into one another: each plane has its own inventory', async () => {
  const other = await createPlane({
    title: 'other',
    controllers: [],
    pipeline: plane.pipeline,
    credentials: plane.credentials,
    health: { readiness: () => Promise.resolve({ status: 'ready' }) },
    log: { warn: () => undefined, error: () => undefined },
  });
  await other.init();
  expect(routesOf(other.getHttpAdapter().getInstance())).toHaveLength(3);
  await other.close();
});

/** Everything that comes back for these bytes, until the server closes. */
function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1', () => socket.write(text));
  return everything(socket);
}

function everything(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    socket.on('data', (chunk) => (received += chunk.toString('latin1')));
    socket.on('close', () => resolve(received));
    socket.on('error', reject);
  });
}

const rawStatus = async (port: number, text: string): Promise<string> => (await raw(port, text)).slice(9, 12);
