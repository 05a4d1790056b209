import { createSecretKey, randomBytes } from 'node:crypto';
import {
  type Alias,
  type CredentialId,
  DATA_OPERATIONS,
  type DataOperation,
  type KeyVersionId,
  type RecordBody,
  type RuleVerdict,
  type TenantId,
} from '#contract';
import {
  type Appended,
  type Call,
  Credentials,
  type Custody,
  dataHandlers,
  type GrantDecision,
  KeywardError,
  liftedDigest,
  newKeyId,
  newKeyVersionId,
  type Permit,
  Pipeline,
  type Principal,
  Snapshots,
  type StoredKey,
  type TenantRules,
  type TrailEntry,
  TrailUnavailable,
  type WrappedKeyVersion,
} from '#core';

const ACME = 'acme' as TenantId;
const NOW = Date.UTC(2026, 0, 1);
const clock = { now: () => new Date(NOW) };
const keyId = newKeyId(NOW);
const versionId = newKeyVersionId(NOW);
const GRANTED: GrantDecision = { grant: 'invoices', limited: [], guardrail: undefined, stop: undefined, validUntil: undefined };

const version: WrappedKeyVersion = {
  tenant: ACME,
  keyId,
  versionId,
  spec: 'AES_256',
  usage: 'ENCRYPT_DECRYPT',
  origin: 'KEYWARD',
  protectionLevel: 'SOFTWARE_TOKEN',
  logId: 'log_x',
  blob: new Uint8Array(40),
  mac: new Uint8Array(32),
};
const enabled: StoredKey = {
  keyId,
  state: 'Enabled',
  description: '',
  createdAt: clock.now(),
  aliases: ['alias/invoices' as Alias],
  tags: {},
  primaryVersion: versionId,
  versions: [version],
  namesMac: new Uint8Array(32),
  deletionProtection: false,
  deletion: undefined,
};

/** One tenant, one service, one key; everything around the pipeline answers as it is told, and remembers. */
function aWorld(
  given: {
    verdicts?: (Appended['verdict'] | 'down' | { room: number })[];
    decisions?: GrantDecision[];
    key?: StoredKey;
    movedAfterRules?: boolean;
    revoked?: boolean;
    /** The verdicts of grants that name the call, for who asks why not. */
    explained?: RuleVerdict[];
    catalogue?: DataOperation[];
    suspended?: 'service' | 'tenant';
    unproven?: boolean;
  } = {},
) {
  const records: RecordBody[] = [];
  const charged: (string | undefined)[] = [];
  const results: Uint8Array[] = [];
  const permits: Permit[] = [];
  const verdicts = [...(given.verdicts ?? [])];
  const decisions = [...(given.decisions ?? [])];
  let loads = 0;
  const epochOf = (tenant: TenantId) => (tenant !== ACME ? 'p1' : given.movedAfterRules && loads === 1 ? 'e0' : 'e1');

  const rules = {
    rules: async (tenant: TenantId): Promise<TenantRules | undefined> => {
      if (tenant === ACME) loads++;
      if (tenant !== ACME && tenant !== 'platform') return undefined;
      return {
        tenant,
        state: 'Active',
        epochs: { tenant: epochOf(tenant), platform: 'p1' },
        log: { logId: `log_${tenant}`, origin: '', vkey: '' },
        contextSalt: new Uint8Array(32),
        policy: undefined,
        stops: [],
        lifted: { count: 0, digest: liftedDigest([]), mac: undefined },
        services: new Map([
          ['billing', { operations: [...(given.catalogue ?? DATA_OPERATIONS)], suspended: given.suspended === 'service' }],
        ]),
        suspended: given.suspended === 'tenant',
        ...(given.unproven && { unproven: true }),
      };
    },
    key: async (_: TenantId, lookup: { reference: string } | { versionId: KeyVersionId }) => {
      const known = 'reference' in lookup ? ['alias/invoices', keyId].includes(lookup.reference) : lookup.versionId === versionId;
      return { epoch: 'e1', key: known ? (given.key ?? enabled) : undefined };
    },
    credentialOfSubject: async () => undefined,
    identityProvider: async () => undefined,
    credential: async (tenant: TenantId, credentialId: CredentialId) => ({
      epoch: 'p1',
      credential: {
        tenant,
        credentialId,
        principal: 'billing',
        role: 'service' as const,
        authMethod: 'api-key' as const,
        mac: new Uint8Array(32),
        ...{ subject: undefined, issuer: undefined, publicKey: undefined, createdAt: clock.now(), bindingMac: new Uint8Array(32) },
        expiresAt: new Date(NOW + 1000),
        revokedAt: given.revoked ? clock.now() : undefined,
      },
    }),
  };
  const append = async ({ body, charge }: Pick<TrailEntry, 'body' | 'charge'>): Promise<Appended> => {
    charged.push(charge?.ruleId);
    const verdict = verdicts.shift() ?? 'durable';
    if (verdict === 'down') throw new TrailUnavailable('down');
    if (typeof verdict === 'object') return { verdict: 'over-limit', ...verdict };
    if (verdict === 'over-limit') return { verdict, room: 0 };
    if (verdict !== 'durable') return { verdict };
    records.push(body);
    return { verdict, seq: BigInt(records.length - 1) };
  };
  const appendAll = (entries: readonly TrailEntry[]) => Promise.all(entries.map(append));
  const custody = {
    generateDataKey: async (permit: Permit) => {
      permits.push(permit);
      const plaintext = randomBytes(32);
      results.push(plaintext);
      return { plaintext, iv: new Uint8Array(12), ciphertext: new Uint8Array(48) };
    },
  } as unknown as Custody;

  const credentials = new Credentials(rules, createSecretKey(randomBytes(32)), clock);
  const snapshots = new Snapshots(rules, {
    compile: () => ({ decide: () => decisions.shift() ?? GRANTED, explain: () => given.explained ?? [], couldAllow: () => false }),
  });
  const parts = { snapshots, credentials, trail: { append, appendAll }, changes: { commit: append }, clock };
  const pipeline = new Pipeline(parts, dataHandlers(custody));
  const billing: Principal = {
    role: 'service',
    tenant: 'platform' as TenantId,
    name: 'billing',
    credentialId: 'crd_1' as CredentialId,
    authMethod: 'api-key',
    expiresAt: new Date(NOW + 1000),
    epoch: given.revoked ? 'p0' : 'p1',
  };
  const call = (over: Partial<Call> = {}): Call => ({
    ...{ principal: billing, tenant: ACME, sourceAddress: '192.0.2.7', requestId: 'req_1', startedAt: NOW },
    ...over,
  });
  const generate = (over: Partial<Call> = {}, reference: string = 'alias/invoices', asked: { dryRun?: boolean } = {}) =>
    pipeline.run('GenerateDataKey', call(over), { keyId: reference as Alias, encryptionContext: { purpose: 'invoice' }, ...asked });
  const batch = (...contexts: Record<string, string>[]) => {
    const items = contexts.map((encryptionContext) => ({ input: { keyId: 'alias/invoices' as Alias, encryptionContext } }));
    return pipeline.runBatch('GenerateDataKey', call(), items);
  };
  return { pipeline, generate, batch, call, billing, records, charged, results, permits, loads: () => loads };
}

const refusal = async (work: Promise<unknown>): Promise<KeywardError> => {
  const outcome = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(outcome instanceof KeywardError)) throw new Error('It was not refused.', { cause: outcome });
  return outcome;
};
const allZero = (bytes: Uint8Array | undefined) => bytes?.every((byte) => byte === 0);

describe('the pipeline', () => {
  it('answers a granted call after its record, with its place in the log', async () => {
    const world = aWorld();
    const { answer, seq } = await world.generate();
    expect(seq).toBe(0n);
    expect('plaintext' in answer && allZero(answer.plaintext)).toBe(false);
    expect(world.records).toMatchObject([
      {
        op: 'GenerateDataKey',
        outcome: 'succeeded',
        log: 'log_acme',
        authz: { decision: 'allow', ruleId: 'invoices' },
        key: { id: keyId, versionId, aliasUsed: 'alias/invoices' },
      },
    ]);
  });

  it('binds tenant, key version and context into the permit that custody receives', async () => {
    const world = aWorld();
    await world.generate();
    expect(world.permits).toMatchObject([{ operation: 'GenerateDataKey', tenant: ACME, versionId }]);
    expect(Buffer.from(world.permits[0]!.aad!).toString('latin1')).toContain('\x00\x04acme\x00\x07purpose\x00\x07invoice');
  });

  it('withholds and wipes the result when the trail cannot record it', async () => {
    const world = aWorld({ verdicts: ['down'] });
    expect(await refusal(world.generate())).toBeInstanceOf(TrailUnavailable);
    expect(allZero(world.results[0])).toBe(true);
  });

  it('decides again under the new rules when a stop came first, and the result of the old ones is gone', async () => {
    const stopped = { ...GRANTED, stop: 'stop_1' as GrantDecision['stop'] };
    const world = aWorld({ verdicts: ['stale'], decisions: [GRANTED, stopped] });
    const error = await refusal(world.generate());
    expect(error).toMatchObject({ code: 'stopped', record: 0n });
    expect(allZero(world.results[0])).toBe(true);
    expect(world.records).toMatchObject([
      { outcome: 'refused', error: { code: 'stopped' }, discarded: 1, authz: { decision: 'deny', stopId: 'stop_1' } },
    ]);
  });

  it('decides a stale refusal again too: a lift leaves none behind', async () => {
    const stopped = { ...GRANTED, stop: 'stop_1' as GrantDecision['stop'] };
    const world = aWorld({ verdicts: ['stale'], decisions: [stopped, GRANTED] });
    await expect(world.generate()).resolves.toMatchObject({ seq: 0n });
  });

  it('gives up with a retryable 503 when the rules change twice under it', async () => {
    const world = aWorld({ verdicts: ['stale', 'expired'] });
    expect(await refusal(world.generate())).toMatchObject({ code: 'unavailable', reason: 'trail: stale twice' });
    expect(world.results).toHaveLength(2);
    expect(world.results.every(allZero)).toBe(true);
  });

  it('starts over when the key was read under another epoch than the rules', async () => {
    const world = aWorld({ movedAfterRules: true });
    await world.generate();
    expect(world.loads()).toBe(2);
    expect(world.permits).toHaveLength(1);
  });

  it.each<[string, GrantDecision, string, string]>([
    ['no grant', { ...GRANTED, grant: undefined }, 'not-granted', 'no-grant'],
    ['a guardrail, which a stranger must not learn of', { ...GRANTED, guardrail: 'eu-only' }, 'not-granted', 'guardrail'],
    [
      'a stop, but no grant: no more than any stranger hears',
      { ...GRANTED, grant: undefined, stop: 'stop_1' as GrantDecision['stop'] },
      'not-granted',
      'no-grant',
    ],
    ['a stop of what is granted', { ...GRANTED, stop: 'stop_1' as GrantDecision['stop'] }, 'stopped', 'stopped'],
  ])('refuses and records: %s', async (_, decision, code, reason) => {
    const world = aWorld({ decisions: [decision] });
    expect(await refusal(world.generate())).toMatchObject({ code, record: 0n });
    expect(world.records).toMatchObject([{ outcome: 'refused', error: { code, reason } }]);
    expect(world.permits).toHaveLength(0);
  });

  it('tells of a disabled key only whom a grant would allow', async () => {
    const key: StoredKey = { ...enabled, state: 'Disabled' };
    expect(await refusal(aWorld({ key }).generate())).toMatchObject({ code: 'key-disabled' });
    expect(await refusal(aWorld({ key, decisions: [{ ...GRANTED, grant: undefined }] }).generate())).toMatchObject({ code: 'not-granted' });
  });

  it('makes an unknown key, an unknown tenant and a missing grant look the same to a service', async () => {
    const seen = await Promise.all([
      refusal(aWorld().generate({}, newKeyId(NOW))),
      refusal(aWorld().generate({ tenant: 'nobody' as TenantId })),
      refusal(aWorld({ decisions: [{ ...GRANTED, grant: undefined }] }).generate()),
    ]);
    expect(new Set(seen.map(({ code, message, fields }) => JSON.stringify({ code, message, fields }))).size).toBe(1);
  });

  it("records a call to an unknown tenant in the platform's log", async () => {
    const world = aWorld();
    await refusal(world.generate({ tenant: 'nobody' as TenantId }));
    expect(world.records).toMatchObject([{ log: 'log_platform', error: { reason: 'unknown-tenant' } }]);
  });

  it('refuses a role that may not call, in its own log', async () => {
    const world = aWorld();
    const auditor: Principal = { ...world.billing, role: 'auditor', tenant: ACME, epoch: 'e1' };
    expect(await refusal(world.generate({ principal: auditor }))).toMatchObject({ code: 'not-allowed' });
    expect(world.records).toMatchObject([{ log: 'log_acme', error: { code: 'not-allowed', reason: 'role-auditor' } }]);
  });

  it('asks again for a credential that was read under another epoch, and refuses a revoked one', async () => {
    const world = aWorld({ revoked: true });
    expect(await refusal(world.generate())).toMatchObject({ code: 'unauthenticated', reason: 'revoked' });
    expect(world.records).toHaveLength(0);
  });

  it('records input that the edge refused', async () => {
    const world = aWorld();
    const invalid = new KeywardError('invalid-request', '', { fields: [{ field: 'plaintext', message: 'must be base64' }] });
    expect(await refusal(world.pipeline.refuse('Encrypt', world.call(), invalid))).toMatchObject({ record: 0n });
    expect(world.records).toMatchObject([{ op: 'Encrypt', outcome: 'refused', error: { code: 'invalid-request' } }]);
  });

  it('never puts the context itself into a record', async () => {
    const world = aWorld();
    await world.generate();
    expect(JSON.stringify(world.records)).not.toContain('invoice"');
    expect(world.records[0]?.crypto?.context).toHaveLength(1);
  });
});

describe('a lease', () => {
  it('is that of the grant that allowed, or else the longest; the record says until when', async () => {
    const lease = { maxAgeSeconds: 60, maxUses: 5, maxBytes: 1000 };
    const world = aWorld({ decisions: [{ ...GRANTED, lease }, GRANTED] });
    expect((await world.generate()).answer).toMatchObject({ lease });
    expect((await world.generate()).answer).toMatchObject({ lease: { maxAgeSeconds: 300 } });
    const [first, second] = world.records.map(({ time, crypto }) => ({ time, lease: crypto!.lease! }));
    expect(first!.lease).toMatchObject({ maxUses: 5, maxBytes: 1000 });
    expect([first, second].map((one) => Date.parse(one!.lease.until) - Date.parse(one!.time))).toEqual([
      expect.closeTo(60_000, -3),
      expect.closeTo(300_000, -3),
    ]);
  });

  it('is recorded for nothing that was not answered', async () => {
    const world = aWorld({ decisions: [GRANTED, { ...GRANTED, grant: undefined }] });
    await world.generate({}, undefined, { dryRun: true });
    await refusal(world.generate());
    expect(world.records.map(({ crypto }) => crypto?.lease)).toEqual([undefined, undefined]);
  });
});

describe('limits', () => {
  const limited = (...ruleIds: string[]): GrantDecision => ({
    ...GRANTED,
    grant: ruleIds[0],
    limited: ruleIds.map((ruleId) => ({ ruleId, limits: { perMinute: 2 } })),
  });

  it('are paid by the first grant with room, which the record names', async () => {
    const world = aWorld({ decisions: [limited('few', 'many')], verdicts: ['over-limit', 'durable'] });
    await world.generate();
    expect(world.charged).toEqual(['few', 'many']);
    expect(world.records).toMatchObject([{ outcome: 'succeeded', authz: { decision: 'allow', ruleId: 'many' } }]);
  });

  it('give the lease of the grant that paid, in the answer and in the record', async () => {
    const [few, many] = [{ maxAgeSeconds: 10 }, { maxAgeSeconds: 20, maxUses: 3 }];
    const limits = { perMinute: 2 };
    const decision = { ...GRANTED, grant: 'few', lease: few };
    const both = [
      { ruleId: 'few', limits, lease: few },
      { ruleId: 'many', limits, lease: many },
    ];
    const world = aWorld({ decisions: [{ ...decision, limited: both }], verdicts: ['over-limit', 'durable'] });
    expect((await world.generate()).answer).toMatchObject({ lease: many });
    expect(world.records.map(({ crypto }) => crypto?.lease)).toEqual([{ until: expect.any(String), maxUses: 3 }]);

    const batched = aWorld({ decisions: [{ ...decision, limited: both }], verdicts: [{ room: 0 }, 'durable'] });
    expect((await batched.batch({})).items).toMatchObject([{ answer: { lease: many } }]);
    expect(batched.records.map(({ crypto }) => crypto?.lease?.maxUses)).toEqual([3]);
  });

  it('that are all full refuse the call, wipe its result, and say when to come back', async () => {
    const world = aWorld({ decisions: [limited('few', 'many')], verdicts: ['over-limit', 'over-limit', 'durable'] });
    const error = await refusal(world.generate());
    expect(error).toMatchObject({ code: 'too-many-requests', why: 'limit-reached', record: 0n, retryAfterSeconds: 60 });
    expect(allZero(world.results[0])).toBe(true);
    expect(world.charged).toEqual(['few', 'many', undefined]);
    expect(world.records).toMatchObject([{ outcome: 'refused', authz: { decision: 'deny', ruleId: 'few' } }]);
  });
});

describe('a batch', () => {
  const [A, B] = [{ purpose: 'invoice' }, { purpose: 'payroll' }];
  const told = ({ items }: Awaited<ReturnType<ReturnType<typeof aWorld>['batch']>>) =>
    items.map((item) => ('error' in item ? `${item.error.code} ${item.error.record}` : `ok ${item.record}`));
  const NO_GRANT = { ...GRANTED, grant: undefined };

  it('answers in order; items that would have equal records share one, with their exact number', async () => {
    const world = aWorld();
    expect(told(await world.batch(A, B, A))).toEqual(['ok 0', 'ok 1', 'ok 0']);
    expect(world.records.map(({ count }) => count)).toEqual([2, undefined]);
    expect(new Set(world.permits).size).toBe(3);
  });

  it('refuses a bad item alone', async () => {
    const world = aWorld({ decisions: [GRANTED, NO_GRANT] });
    expect(told(await world.batch(A, B, A))).toEqual(['ok 0', 'not-granted 1', 'ok 0']);
    expect(world.records).toMatchObject([
      { outcome: 'succeeded', count: 2 },
      { outcome: 'refused', authz: { decision: 'deny' } },
    ]);
  });

  it('does not tell who has no grant, by shared records, which keys exist', async () => {
    const [known, one, other] = ['alias/invoices' as Alias, 'alias/one' as Alias, 'alias/other' as Alias];
    const recordsOf = async (...keys: Alias[]) => {
      const world = aWorld({ decisions: Array<GrantDecision>(4).fill(NO_GRANT) });
      const items = keys.map((asked) => ({ input: { keyId: asked, encryptionContext: A } }));
      return told(await world.pipeline.runBatch('GenerateDataKey', world.call(), items));
    };
    const seen = ['not-granted 0', 'not-granted 1', 'not-granted 0'];
    expect([await recordsOf(one, other, one), await recordsOf(known, one, known)]).toEqual([seen, seen]);
  });

  it('records what the edge could not read, and works on the rest', async () => {
    const world = aWorld();
    const error = new KeywardError('invalid-request');
    const input = { keyId: 'alias/invoices' as Alias };
    const { items } = await world.pipeline.runBatch('GenerateDataKey', world.call(), [{ error }, { input }]);
    expect(items).toMatchObject([{ error: { code: 'invalid-request', record: 0n } }, { record: 1n }]);
  });

  it('decides only what became stale again, once, and says how many results were thrown away', async () => {
    const world = aWorld({ verdicts: ['durable', 'stale', 'durable'] });
    expect(told(await world.batch(A, B, B))).toEqual(['ok 0', 'ok 1', 'ok 1']);
    expect(world.records).toMatchObject([{}, { count: 2, discarded: 2 }]);
    expect(world.results.map(allZero)).toEqual([false, true, true, false, false]);
  });

  it('tells items that were stale twice to come back, and answers the others', async () => {
    const world = aWorld({ verdicts: ['durable', 'stale', 'stale'] });
    expect(told(await world.batch(A, B))).toEqual(['ok 0', 'unavailable undefined']);
    expect(world.results.map(allZero)).toEqual([false, true, true]);
  });

  it('is withheld and wiped as a whole when nobody knows what was recorded', async () => {
    const world = aWorld({ verdicts: ['durable', 'down'] });
    expect(await refusal(world.batch(A, B))).toBeInstanceOf(TrailUnavailable);
    expect(world.results.map(allZero)).toEqual([true, true]);
  });

  it('uses what is left of a limit, then the next grant, and refuses the rest', async () => {
    const limited = ['few', 'more'].map((ruleId) => ({ ruleId, limits: { perMinute: 2 } }));
    const decision = { ...GRANTED, grant: 'few', limited };
    const world = aWorld({
      decisions: Array<GrantDecision>(4).fill(decision),
      verdicts: [{ room: 1 }, 'durable', { room: 2 }, 'durable', 'durable'],
    });
    expect(told(await world.batch(A, A, A, A))).toEqual(['ok 0', 'ok 1', 'ok 1', 'too-many-requests 2']);
    expect(world.records).toMatchObject([
      { authz: { decision: 'allow', ruleId: 'few' } },
      { authz: { decision: 'allow', ruleId: 'more' }, count: 2 },
      { authz: { decision: 'deny', ruleId: 'few' }, outcome: 'refused' },
    ]);
    expect(world.results.map(allZero)).toEqual([false, false, false, true]);
  });

  it('is refused as one call to a role that may not make it', async () => {
    const world = aWorld();
    const auditor: Principal = { ...world.billing, role: 'auditor', tenant: ACME, epoch: 'e1' };
    const error = await refusal(world.pipeline.runBatch('GenerateDataKey', world.call({ principal: auditor }), []));
    expect(error).toMatchObject({ code: 'not-allowed', record: 0n });
  });
});

describe('a dry run', () => {
  it('says that the call would be allowed, uses no key and pays no limit', async () => {
    const decision = { ...GRANTED, limited: [{ ruleId: 'invoices', limits: { perDay: 1 } }] };
    const world = aWorld({ decisions: [decision] });
    const { answer } = await world.generate({}, undefined, { dryRun: true });
    expect(answer).toEqual({ dryRun: true, keyId, keyVersionId: versionId });
    expect([world.permits, world.charged]).toEqual([[], [undefined]]);
    expect(world.records).toMatchObject([{ outcome: 'succeeded', request: { dryRun: true } }]);
  });

  it('is refused just as the call would be', async () => {
    const decision = { ...GRANTED, grant: undefined };
    const [asked, real] = await Promise.all([
      refusal(aWorld({ decisions: [decision] }).generate({}, undefined, { dryRun: true })),
      refusal(aWorld({ decisions: [decision] }).generate()),
    ]);
    expect([asked.code, asked.message, asked.why]).toEqual([real.code, real.message, real.why]);
  });
});

describe('a refusal explains itself', () => {
  const unmet: RuleVerdict = {
    ruleId: 'invoices',
    effect: 'allow',
    applies: false,
    conditions: [
      { in: 'when', condition: 'encryptionContextSubset', truth: 'false' },
      { in: 'when', condition: 'notAfter', truth: 'true' },
      { in: 'unless', condition: 'sourceCidr', truth: 'unknown' },
    ],
  };

  it('to whom a grant names: that a condition is not met; to the tenant: which', async () => {
    const world = aWorld({ decisions: [{ ...GRANTED, grant: undefined }], explained: [unmet] });
    expect(await refusal(world.generate())).toMatchObject({ code: 'not-granted', why: 'condition-not-met' });
    expect(world.records).toMatchObject([
      { authz: { decision: 'deny', ruleId: 'invoices', unmet: ['when.encryptionContextSubset', 'unless.sourceCidr'] } },
    ]);
  });

  it('to nobody else', async () => {
    const world = aWorld({ decisions: [{ ...GRANTED, grant: undefined }] });
    expect((await refusal(world.generate())).why).toBeUndefined();
  });

  it.each([
    ['a service that may not ask for this', { catalogue: ['Decrypt' as const] }, 'not-in-catalogue'],
    ['a suspended service', { suspended: 'service' as const }, 'service-suspended'],
    ['a suspended tenant', { suspended: 'tenant' as const }, 'tenant-suspended'],
  ])('the ISV refuses %s, whatever the tenant grants', async (_, given, why) => {
    const world = aWorld(given);
    expect(await refusal(world.generate())).toMatchObject({ code: 'not-granted', why });
    expect(world.permits).toHaveLength(0);
  });
});

it('tells a service of its catalogue whether or not the tenant exists: nothing can be learned from it', async () => {
  const catalogue = ['Decrypt' as const];
  const known = await refusal(aWorld({ catalogue }).generate());
  const unknown = await refusal(aWorld({ catalogue }).generate({ tenant: 'nobody' as TenantId }));
  expect([unknown.code, unknown.why]).toEqual([known.code, known.why]);
});

it('opens nothing while nobody can check that the rules are genuine', async () => {
  const world = aWorld({ unproven: true });
  expect(await refusal(world.generate())).toMatchObject({ code: 'unavailable' });
  expect([world.permits, world.records]).toEqual([[], []]);
});
