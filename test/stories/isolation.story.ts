import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { checkoutPath } from '#runtime';
import { type Answer, api, must } from './api.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { bodyOf } from './route-bodies.js';
import { asSuperuser } from './signed.js';
import { type DescribedOperation, describedOperations, type Place } from './route-places.js';
import { type Belongings, furnished, GUESSED, NAMED, USES } from './two-tenants.js';

type PlaneName = 'key-plane' | 'data-plane' | 'auditor';
interface Plane {
  readonly name: PlaneName;
  readonly url: string;
  /** acme's caller who may ask most here. */
  readonly caller: string;
  readonly globexCaller: string;
  readonly operations: readonly DescribedOperation[];
}

const TABLE = checkoutPath('docs', 'isolation.md');
/** Set to write the table anew, after a change that is meant. */
const REGENERATE = process.env['KEYWARD_WRITE_ISOLATION'] === '1';

/** Of requests whose shape depends on what they name. */
const BODIES: Readonly<Record<string, (named: string) => unknown>> = {
  'Stop target.keyId': (keyId) => ({ target: { scope: 'key', keyId } }),
  'ErasePersonalFields principal': (principal) => ({ principal }),
  'SimulatePolicy secretId': (secretId) => ({ subject: 'svc:billing', operation: 'GetSecretValue', secretId }),
  'CreateSecret rotation.connectionSecret': (connectionSecret) => ({
    ...{ name: `rotated-${connectionSecret}`, keyId: 'alias/only-acme', rotation: { target: 'webhook', connectionSecret } },
  }),
  'UpdateSecretRotationPolicy policy.connectionSecret': (connectionSecret) => ({ policy: { target: 'webhook', connectionSecret } }),
};
const QUERIES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  DeleteAlias: { alias: 'alias/nobodys' },
  GetRecordStats: { from: '2026-01-01T00:00:00Z', to: '2026-01-01T01:00:00Z' },
  WhoCan: { operation: 'Encrypt' },
  GetCoverage: { name: 'purpose' },
};
/** What the templates of bodies name, and whose own it becomes. */
const OWN_NAMES: readonly (readonly [string, (typeof NAMED)[number]])[] = [
  [GUESSED.key, 'key'],
  [GUESSED.keyVersion, 'keyVersion'],
  ['alias/invoices', 'key'],
  ['app/db', 'secret'],
  [Buffer.alloc(60).toString('base64'), 'ciphertext'],
];
/** Streams: they answer as soon as they are let in, and then never end. */
const STREAMS = ['WatchRules'];
/** What is not there yet for the tenant itself. */
const OWN: Readonly<Record<string, number>> = {
  'GetShreddingReceipt key': 404,
  'GetCompletionCertificate operation': 409,
  'ReadShreddingReceipt key': 404,
};

describe("one tenant's requests that name what is another's", () => {
  let world: Onboarded;
  let acme: Belongings;
  let globex: Belongings;
  let planes: readonly Plane[];
  const rows: string[] = [];
  let foreignCursors = 0;

  beforeAll(async () => {
    world = await onboarded();
    acme = await furnished(world, world.acme);
    globex = await furnished(world, world.globex);
    const { keyPlane, dataPlanes, auditor } = world.platform.urls;
    planes = await Promise.all([
      plane('key-plane', keyPlane, world.acme.admin, world.globex.admin),
      plane('data-plane', dataPlanes[0]!, world.billing, world.billing),
      plane('auditor', auditor, world.acme.auditor, world.globex.auditor),
    ]);
  }, 180_000);
  afterAll(() => world?.stop(), 60_000);

  const ofTenants = () =>
    planes.flatMap((one) =>
      one.operations
        .filter(({ url, operation }) => url.includes('{tenant}') && !STREAMS.includes(operation))
        .map((described) => ({ plane: one, described })),
    );

  it('are known by name: an identifier that is new to the API has to be told to this test', () => {
    expect(planes.flatMap(({ operations }) => operations.flatMap(({ unknown }) => unknown))).toEqual([]);
    expect(ofTenants().flatMap(({ described }) => described.places).length).toBeGreaterThan(70);
  });

  it('are answered as if it did not exist', async () => {
    const told: string[] = [];
    for (const { plane: at, described } of ofTenants())
      for (const place of described.places) {
        const theirs = place.kind === 'cursor' ? await cursorOf(at, described) : nameOf(globex, described.operation, place.kind);
        const foreign = await asked(at, described, place, theirs);
        const guessed = await asked(at, described, place, GUESSED[place.kind]);
        const label = `${at.name} | ${described.method} ${described.url.replace('/v1/tenants/{tenant}', '…')} | ${place.in} \`${place.name}\``;
        const gone = place.kind === 'cursor' ? undefined : acme.gone[place.kind];
        const ended = gone === undefined ? '–' : outcome(await asked(at, described, place, gone));
        rows.push(`| ${label} | ${outcome(foreign)} | ${outcome(guessed)} | ${ended} |`);
        const leaked = foreignIn(foreign, theirs);
        if (leaked !== '') told.push(`${label}: ${leaked}`);
        if (place.kind !== 'cursor' && bare(foreign, theirs) !== bare(guessed, GUESSED[place.kind]))
          told.push(`${label}: ${bare(foreign)} instead of ${bare(guessed)}`);
      }
    expect(told).toEqual([]);
    expect(foreignCursors).toBeGreaterThan(4);
  }, 120_000);

  it('are refused for the whole tenant in the path, as for one that does not exist', async () => {
    const told: string[] = [];
    for (const { plane: at, described } of ofTenants().filter(({ plane: { name } }) => name !== 'data-plane')) {
      const foreign = await sent(at, at.caller, 'globex', acme, described);
      const guessed = await sent(at, at.caller, 'nobody', acme, described);
      if (![404, 400].includes(foreign.status) && described.operation !== 'Enrol') told.push(`${described.operation}: ${bare(foreign)}`);
      if (bare(foreign) !== bare(guessed)) told.push(`${described.operation}: ${bare(foreign)} instead of ${bare(guessed)}`);
    }
    expect(told).toEqual([]);
  }, 120_000);

  it('leave the other tenant untouched, and nothing in its log', async () => {
    const recordsIn = (log: string) =>
      asSuperuser(world.platform.superuserUrl, async (client) => {
        const { rows } = await client.query<{ records: number }>(
          `SELECT count(*)::integer AS records FROM keyward.trail_record
            WHERE tenant_id = $1 AND convert_from(bytes, 'UTF8')::jsonb #>> '{actor,tenant}' = 'acme'`,
          [log],
        );
        return rows[0]!.records;
      });
    expect(await recordsIn('acme')).toBeGreaterThan(100);
    expect(await recordsIn('globex')).toBe(0);
    for (const [what, path] of [
      ['key', `/keys/${globex.key}`],
      ['stop', `/stops/${globex.stop}`],
      ['sink', `/sinks/${globex.sink}`],
      ['operation', `/operations/${globex.operation}`],
      ['secret', `/secrets/${globex.secret}/versions`],
    ] as const)
      expect(`${what} ${(await must(world.platform.urls.keyPlane, world.globex.admin, 'GET', `/v1/tenants/globex${path}`)).status}`).toBe(
        `${what} 200`,
      );
  });

  it('would be seen: who may name it gets an answer that is neither', async () => {
    const at = planes.find(({ name }) => name === 'key-plane')!;
    const described = at.operations.find(({ operation }) => operation === 'DescribeKey')!;
    const seen = await sent(at, at.globexCaller, 'globex', globex, described);
    expect(foreignIn(seen, 'nothing')).toContain(globex.key);
    expect(bare(seen, globex.key)).not.toBe(bare(await asked(at, described, described.places[0], GUESSED.key), GUESSED.key));
  });

  it("are the caller's own when they name the caller's own: what was refused was not the request", async () => {
    const reads = ofTenants().filter(({ described }) => described.method === 'GET' && !described.operation.startsWith('Watch'));
    const told: string[] = [];
    for (const { plane: at, described } of reads)
      for (const place of described.places.filter(({ in: where }) => where === 'path')) {
        const own = await asked(at, described, place, nameOf(acme, described.operation, place.kind as (typeof NAMED)[number]));
        const label = `${described.operation} ${place.name}`;
        if (own.status !== (OWN[label] ?? 200)) told.push(`${label}: ${bare(own)}`);
      }
    const uses = ofTenants().filter(({ plane: { name } }) => name === 'data-plane');
    for (const { plane: at, described } of uses)
      for (const place of described.places.filter(({ kind }) => kind === 'key')) {
        const own = outcome(await asked(at, described, place, nameOf(acme, described.operation, 'key')));
        if (/40[34]/.test(own)) told.push(`${described.operation} ${place.name}: ${own}`);
      }
    expect(told).toEqual([]);
  }, 60_000);

  it('are in a table that everybody can read', () => {
    const table = `${HEAD}${rows.join('\n')}\n`;
    if (REGENERATE || !existsSync(TABLE)) writeFileSync(TABLE, table);
    expect(readFileSync(TABLE, 'utf8')).toBe(table);
  });

  async function plane(name: PlaneName, url: string, caller: string, globexCaller: string): Promise<Plane> {
    const document = (await must(url, undefined, 'GET', '/openapi.json')).body;
    return {
      name,
      url,
      caller,
      globexCaller,
      operations: describedOperations(document as unknown as Parameters<typeof describedOperations>[0]),
    };
  }

  /** The operation with acme's own in every place but this one. */
  function asked(at: Plane, { operation, method, url }: DescribedOperation, place?: Place, named = ''): Promise<Answer> {
    return sent(at, at.caller, 'acme', acme, { operation, method, url }, place, named);
  }

  function sent(
    at: Plane,
    caller: string,
    tenant: string,
    own: Belongings,
    { operation, method, url }: Pick<DescribedOperation, 'operation' | 'method' | 'url'>,
    place?: Place,
    named = '',
  ): Promise<Answer> {
    const query = new URLSearchParams({ ...QUERIES[operation], ...(place?.in === 'query' && { [place.name]: named }) });
    const path = url.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      if (name === 'tenant') return tenant;
      if (place?.in === 'path' && place.name === name) return encodeURIComponent(named);
      return encodeURIComponent(nameOf(own, operation, name as (typeof NAMED)[number]) ?? '1');
    });
    return api(at.url, caller, method, `${path}?${query.toString()}`, bodyWith(operation, url, place, named), { 'if-match': '"1"' });
  }

  function bodyWith(operation: string, url: string, place: Place | undefined, named: string): unknown {
    const batch = url.endsWith('/batch');
    const single = batch ? operation.replace(/Batch$/, '') : operation;
    const own = withOwn(single, bodyOf(single, batch));
    if (place?.in !== 'body') return own;
    const special = BODIES[`${operation} ${place.name}`];
    if (special !== undefined) return special(named);
    const body = structuredClone(own ?? {}) as Record<string, unknown>;
    const steps = place.name.split('.');
    let at = body;
    for (const step of steps.slice(0, -1)) at = at[step] as Record<string, unknown>;
    at[steps.at(-1)!] = named;
    return body;
  }

  /** The template's names replaced by what acme has. */
  function withOwn(operation: string, body: unknown): unknown {
    if (body === undefined) return undefined;
    const text = OWN_NAMES.reduce((so, [template, kind]) => so.replaceAll(template, nameOf(acme, operation, kind)), JSON.stringify(body));
    return JSON.parse(text);
  }

  /** A cursor that globex's own list gave it, or a name where the list is too short for one. */
  async function cursorOf(at: Plane, described: DescribedOperation): Promise<string> {
    const url = described.url;
    const { body } = await sent(
      at,
      at.globexCaller,
      'globex',
      globex,
      { ...described, url },
      { in: 'query', name: 'limit', kind: 'cursor' },
      '1',
    );
    if (typeof body['nextCursor'] !== 'string') return globex.key;
    foreignCursors++;
    return body['nextCursor'];
  }

  /** What is globex's in an answer, but for what the request named itself. */
  function foreignIn({ body }: Answer, named: string): string {
    const text = JSON.stringify(body).replaceAll(named, '');
    return NAMED.map((kind) => globex[kind])
      .filter((one) => text.includes(one))
      .join(' ');
  }
});

const HEAD = `# Isolation of tenants, place by place

Every place in which a request of one tenant can name something: an admin, an auditor or a service of \`acme\`, which may do everything in
\`acme\`, names what is \`globex\`'s, and then what is nobody's. Both are answered alike; where a cursor is another tenant's, the answer has
nothing of that tenant. Made by \`test/stories/isolation.story.ts\` from the planes' own OpenAPI documents: a route that is added is asked,
and an identifier that is added has to be told to it.

| plane | request | names | another tenant's | nobody's | the tenant's own that is gone |
|---|---|---|---|---|---|
`;

/** What an operation would name of this kind: a key that it can use, and a version of that. */
function nameOf(of: Belongings, operation: string, kind: (typeof NAMED)[number]): string {
  const use = USES[operation];
  return use !== undefined && (kind === 'key' || kind === 'keyVersion') ? of.others[use][kind] : of[kind];
}

/** Of a batch, its only item's. */
function outcome({ status, body }: Answer): string {
  const [item] = Array.isArray(body['items']) ? (body['items'] as Partial<Record<'problem', Record<string, unknown>>>[]) : [];
  const problem = item?.problem ?? body;
  return typeof problem['code'] === 'string' ? `${Number(problem['status'])} \`${problem['code']}\`` : String(status);
}

/** What may not tell foreign from guessed: everything but what is made anew for each request, and the name itself where it is repeated. */
function bare({ status, body }: Answer, named = ''): string {
  const text = `${status} ${JSON.stringify({ ...body, requestId: undefined })}`;
  return (named === '' ? text : text.replaceAll(named, '<named>'))
    .replaceAll(/[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}/g, '<id>')
    .replaceAll(/"(record|seq)":\d+/g, '"$1":0')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>');
}
