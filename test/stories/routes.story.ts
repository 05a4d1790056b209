import { Socket } from 'node:net';
import { controllers as auditorControllers } from '../../apps/auditor/controllers.js';
import { controllers as dataControllers } from '../../apps/data-plane/controllers.js';
import { controllers as keyControllers } from '../../apps/key-plane/controllers.js';
import { createPlane, noCredentials, type Route, routesOf } from '#http';
import { api, type Answer } from './api.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { bodyOf } from './route-bodies.js';

const PUBLIC = ['GET /livez', 'GET /openapi.json', 'GET /readyz'];
const never = () => Promise.reject(new Error('Only its routes are looked at.'));

/** The routes of a plane from Fastify's own registry: what is served, not what somebody listed. */
async function registered(controllers: Parameters<typeof createPlane>[0]['controllers']): Promise<readonly Route[]> {
  const quiet = { warn: () => undefined, error: () => undefined };
  const credentials = noCredentials;
  const app = await createPlane({
    title: '',
    controllers,
    pipeline: { refuse: never },
    credentials,
    health: { readiness: never },
    log: quiet,
  });
  await app.init();
  const routes = routesOf(app.getHttpAdapter().getInstance());
  await app.close();
  return routes;
}

describe('every route of every plane', () => {
  let world: Onboarded;
  let planes: { name: string; url: string; routes: readonly Route[] }[];

  beforeAll(async () => {
    world = await onboarded();
    const { keyPlane, dataPlanes, auditor } = world.platform.urls;
    planes = [
      { name: 'key-plane', url: keyPlane, routes: await registered(keyControllers) },
      { name: 'data-plane', url: dataPlanes[0]!, routes: await registered(dataControllers) },
      { name: 'auditor', url: auditor, routes: await registered(auditorControllers) },
    ];
  }, 180_000);
  afterAll(() => world?.stop(), 60_000);

  const named = ({ method, url }: Route) => `${method} ${url}`;
  const QUERIES: Record<string, string> = {
    DeleteAlias: '?alias=alias/mine',
    GetConsistencyProof: '?from=0',
    GetRecordStats: '?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z',
  };
  const path = ({ url, operation }: Route) =>
    (url + (QUERIES[operation ?? ''] ?? ''))
      .replace(':tenant', 'acme')
      .replace(':service', 'billing')
      .replace(':suspended', 'globex')
      .replace(':limited', 'globex')
      .replace(':leaving', 'globex')
      .replace(':quota', 'keys')
      .replace(':version', '1')
      .replace(':key', world.acme.keyId)
      .replace(':stop', 'stop_01jdsz0000e008000000000001')
      .replace(':keyVersion', 'kver_01jdsz0000e008000000000001')
      .replace(':operation', 'op_01jdsz0000e008000000000001')
      .replace(':sink', 'sink_01jdsz0000e008000000000001')
      .replace(':secret', 'sec_01jdsz0000e008000000000001')
      .replace('tile/*', 'tile/0/000.p/1')
      .replace(':seq', '0')
      .replace(':credential', 'crd_01jdsz0000e008000000000001');
  const guarded = () =>
    planes.flatMap((plane) => plane.routes.filter((route) => route.public === undefined).map((route) => ({ ...plane, route })));

  it('is public only if it is on the short list', () => {
    for (const { routes } of planes)
      expect(
        routes
          .filter((route) => route.public !== undefined)
          .map(named)
          .sort(),
      ).toEqual(PUBLIC);
    expect(guarded().length).toBeGreaterThan(25);
  });

  it('answers 401 without a credential and with a forged one, whatever the body', async () => {
    for (const [index, { url, route }] of guarded().entries()) {
      // Each in another one's name: who fails a hundred times in one has to wait.
      const forged = `kw_acme_crd_01jdsz0000e0080000000${String(index).padStart(5, '0')}_${'A'.repeat(43)}`;
      for (const apiKey of [undefined, 'nonsense', forged])
        for (const method of [route.method, 'OPTIONS']) {
          const answer = await api(url, apiKey, method, path(route), ['GET', 'OPTIONS'].includes(method) ? undefined : '{ not json');
          expect(`${method} ${route.url} ${answer.status}`).toBe(`${method} ${route.url} 401`);
        }
    }
  });

  it.each([
    ['a doubled slash', (target: string) => target.replace('/v1/', '//v1/')],
    ['a percent-encoded letter', (target: string) => target.replace('tenants', 't%65nants')],
    ['an absolute form', (target: string) => `http://127.0.0.1${target}`],
    ['a trailing slash', (target: string) => `${target}/`],
    ['another case', (target: string) => target.replace('/v1/tenants', '/V1/Tenants')],
    ['a path parameter', (target: string) => target.replace('acme', 'acme;x=1')],
  ])('is not reached around the guard: %s', async (_, spell) => {
    for (const { url, route } of guarded())
      for (const method of [route.method, 'HEAD', 'OPTIONS'])
        expect(`${method} ${route.url} ${await rawStatus(url, method, spell(path(route)))}`).toMatch(/ (400|401|404)$/);
    const known = guarded().find(({ route }) => route.operation === 'ListKeys')!;
    expect(await rawStatus(known.url, 'GET', spell(path(known.route)))).not.toBe(200);
  });

  const as = (apiKey: string, url: string, route: Route): Promise<Answer> =>
    api(url, apiKey, route.method, path(route), bodyOf(route.operation, route.batch), { 'if-match': '"1"' });

  it("refuses the auditor's credential everywhere but at the auditor's own reads", async () => {
    for (const { name, url, route } of guarded()) {
      const { status, seq } = await as(world.acme.auditor, url, route);
      if (name === 'auditor') expect(`${named(route)} ${status}`).toMatch(/^GET .* (200|404)$/);
      else expect(`${named(route)} ${status} ${seq === undefined ? 'unrecorded' : 'recorded'}`).toBe(`${named(route)} 403 recorded`);
    }
  });

  it("refuses a service's credential on every route of key-plane and auditor", async () => {
    for (const { name, url, route } of guarded().filter((one) => one.name !== 'data-plane'))
      expect(`${name} ${named(route)} ${(await as(world.billing, url, route)).status}`).toBe(`${name} ${named(route)} 403`);
  });

  it("tells another tenant's admin 404 for everything in acme", async () => {
    for (const { url, route } of guarded().filter(({ name, route }) => name === 'key-plane' && route.url.includes(':tenant'))) {
      const expected = route.operation === 'Enrol' ? 403 : 404;
      expect(`${named(route)} ${(await as(world.globex.admin, url, route)).status}`).toBe(`${named(route)} ${expected}`);
    }
  });
});

/** The status of a request with exactly this target: HTTP libraries would tidy it up. */
function rawStatus(base: string, method: string, target: string): Promise<number> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const socket = new Socket();
    let head = '';
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer')));
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1');
      const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
      if (status === undefined) return;
      socket.destroy();
      resolve(Number(status));
    });
    socket.connect(Number(port), hostname, () =>
      socket.write(`${method} ${target} HTTP/1.1\r\nhost: ${hostname}\r\nconnection: close\r\n\r\n`),
    );
  });
}
