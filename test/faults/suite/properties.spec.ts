import { createHash } from 'node:crypto';
import { formatCheckpointBody, leafHash, treeRoot } from '#trail';
import type { StoredRecord } from '../trail-of.js';
import type { Evidence, StateOf } from './evidence.js';
import type { LedgerCall } from './ledger.js';
import { judge, type Property } from './properties.js';

type Body = Readonly<Record<string, unknown>>;
interface Story {
  calls: LedgerCall[];
  acme: Body[];
  platform: Body[];
  state: StateOf;
  opened: Map<string, { digest: string }>;
  ends: number;
}

const KEY = { id: 'key_1', versionId: 'v1', state: 'Enabled' };
const SERVICE = { type: 'service', tenant: 'platform', principal: 'billing', credentialId: 'old' };
const ADMIN = { type: 'admin', tenant: 'acme', principal: 'person' };
let moment = 0;

const body = (op: string, requestId: string, more: Body = {}): Body => ({
  ...{ op, outcome: 'succeeded', category: 'management', actor: ADMIN, request: { requestId } },
  recordedAt: `2026-01-01T00:00:00.${String(moment++).padStart(6, '0')}Z`,
  ...more,
});
const use = (op: string, requestId: string, more: Body = {}) => body(op, requestId, { category: 'use', actor: SERVICE, key: KEY, ...more });
const call = (n: number, op: string, more: Partial<LedgerCall> = {}): LedgerCall => ({
  ...{ n, op, tenant: 'acme', by: 'acme-admin', about: {}, askedAt: 10 * n, answeredAt: 10 * n + 5 },
  ...{ status: 200, requestId: `r${n}`, ...more },
});
const used = (n: number, op: string, seq: number, about: Body, got: Body, more: Partial<LedgerCall> = {}) =>
  call(n, op, { by: 'billing', seq, about: { items: [about], credentialId: 'new' }, got: { items: [got] }, ...more });

/** Two uses, a stop between its lift, a rotation, an alias, a credential that was taken away, and a refusal. */
function honest(): Story {
  moment = 0;
  const wall = { of: 'everything' };
  return {
    acme: [
      body('CreateKey', 'before', { key: KEY }),
      use('Encrypt', 'r0'),
      use('Decrypt', 'r1'),
      body('Stop', 'r2', { change: { stopId: 's1', scope: 'everything' } }),
      use('Encrypt', 'r3', { outcome: 'refused', error: { code: 'stopped' } }),
      body('Lift', 'r4', { change: { stopId: 's1' } }),
      body('RotateKey', 'own', {
        key: { ...KEY, versionId: 'v2' },
        change: { primaryVersion: { before: 'v1', after: 'v2' } },
        actor: { type: 'worker' },
      }),
      body('CreateAlias', 'r5', { key: KEY, change: { alias: 'alias/a' } }),
      use('Encrypt', 'r7'),
    ],
    platform: [body('RevokeServiceCredential', 'r6', { change: { credentialId: 'old' } })],
    calls: [
      used(0, 'Encrypt', 1, { digest: 'd' }, { ciphertext: 'c', keyId: 'key_1' }),
      used(1, 'Decrypt', 2, { ciphertext: 'c' }, { digest: 'd', keyId: 'key_1' }),
      call(2, 'Stop', { status: 201, seq: 3, about: { pair: 'p', closes: wall }, got: { stopId: 's1' } }),
      used(3, 'Encrypt', 4, { digest: 'e' }, { code: 'stopped' }, { status: 403 }),
      call(4, 'Lift', { status: 204, seq: 5, about: { pair: 'p', opens: wall } }),
      call(5, 'CreateAlias', { status: 201, seq: 7, about: { alias: 'alias/a' } }),
      call(6, 'RevokeServiceCredential', {
        tenant: 'platform',
        by: 'operator',
        status: 204,
        seq: 0,
        about: { pair: 'old', closes: { of: 'credential', credentialId: 'old' } },
      }),
      // The answer was lost, and the call was made.
      call(7, 'Encrypt', { by: 'billing', status: 0, requestId: undefined, about: { items: [{ digest: 'f' }], credentialId: 'new' } }),
      call(8, 'ListRecords', { by: 'acme-auditor', got: { records: [[1, 'r0', 'Encrypt']] } }),
      used(
        9,
        'Decrypt',
        0,
        { ciphertext: 'c' },
        { code: 'not-granted' },
        { tenant: 'globex', status: 403, seq: 0, about: { items: [{ ciphertext: 'c' }], foreign: true } },
      ),
    ],
    state: {
      ...{ size: 9, note: '', policies: [], credentials: [] },
      keys: [{ keyId: 'key_1', state: 'Enabled', primary: 'v2' }],
      versions: [
        { keyId: 'key_1', versionId: 'v1' },
        { keyId: 'key_1', versionId: 'v2' },
      ],
      aliases: [{ alias: 'alias/a', keyId: 'key_1' }],
      stops: [{ stopId: 's1', lifted: true }],
    },
    opened: new Map([['c', { digest: 'd' }]]),
    ends: 0,
  };
}

const stored = (bodies: readonly Body[]): StoredRecord[] =>
  bodies.map((one, seq) => {
    const bytes = Buffer.from(JSON.stringify({ seq, ...one }));
    const parsed = JSON.parse(bytes.toString()) as StoredRecord['body'];
    const { op, outcome } = parsed;
    return { seq, op, outcome, requestId: parsed.request.requestId, body: parsed, bytes, leafHash: Buffer.from(leafHash(bytes)) };
  });

const signed = (records: readonly StoredRecord[]): string => {
  const root = treeRoot(records.map((record) => record.leafHash));
  return `${formatCheckpointBody({ origin: 'keyward.test/acme', size: BigInt(records.length), root })}\n— keyward.test/acme ${createHash('sha256').update('').digest('base64')}\n`;
};

/** `late`: what happens to the records after they were signed. */
function evidenceOf(story: Story, late: (records: StoredRecord[]) => void = () => undefined): Evidence {
  const acme = stored(story.acme);
  const note = story.state.note === '' ? signed(acme) : story.state.note;
  late(acme);
  const globex = stored([use('Decrypt', 'r9', { outcome: 'refused', key: undefined, error: { code: 'not-granted' } })]);
  const nobody = (records: readonly StoredRecord[], credentials: StateOf['credentials'] = []): StateOf => ({
    ...{ size: records.length, note: '', keys: [], versions: [], aliases: [], stops: [], policies: [], credentials },
  });
  const platform = stored(story.platform);
  return {
    ...{ calls: story.calls, opened: story.opened, unwell: [], ownEnds: new Map([['worker', story.ends]]) },
    logs: new Map([
      ['acme', acme],
      ['globex', globex],
      ['platform', platform],
    ]),
    states: new Map([
      ['acme', { ...story.state, note }],
      ['globex', nobody(globex)],
      ['platform', nobody(platform, [{ credentialId: 'old', revoked: true }])],
    ]),
    begun: new Map([
      ['acme', 1],
      ['globex', 0],
      ['platform', 0],
    ]),
    calendar: { turns: 1, keys: ['key_1'] },
  };
}

const change = (calls: LedgerCall[], n: number, more: Partial<LedgerCall>) => void (calls[n] = { ...calls[n]!, ...more });

/** Each a lie of an honest story's, and the property that must see it. */
const LIES: readonly (readonly [Property, string, (story: Story) => void, ((records: StoredRecord[]) => void)?])[] = [
  ['completeness', 'an answer without a record', ({ acme }) => void (acme[2] = use('Decrypt', 'r8'))],
  ['completeness', 'a record of a success whose call was refused', ({ calls }) => change(calls, 1, { status: 409 })],
  [
    'completeness',
    'a second record of one call',
    ({ acme, state }) => void (acme.push(use('Encrypt', 'r0')), Object.assign(state, { size: 10 })),
  ],
  ['completeness', 'a record that nobody asked for', ({ calls }) => void calls.splice(7, 1)],
  [
    'completeness',
    'an effect without its record',
    ({ state }) => void Object.assign(state, { aliases: [...state.aliases, { alias: 'alias/b', keyId: 'key_1' }] }),
  ],
  ['completeness', 'a record without its effect', ({ state }) => void Object.assign(state, { aliases: [] })],
  ['fence', 'a use behind a stop', ({ acme }) => void (acme[4] = use('Encrypt', 'r3'))],
  [
    'fence',
    'a refusal behind the lift',
    ({ acme }) => void (acme[8] = use('Encrypt', 'r7', { outcome: 'refused', error: { code: 'stopped' } })),
  ],
  [
    'fence',
    'a use of a credential revoked before',
    ({ acme }) => void (acme[8] = use('Encrypt', 'r7', { recordedAt: '2026-01-02T00:00:00.000000Z' })),
  ],
  ['fence', "an answer while all was stopped, by the client's clock", ({ calls }) => change(calls, 1, { askedAt: 30, answeredAt: 35 })],
  ['exactly once', 'a rotation made twice', ({ acme }) => void (acme[8] = { ...acme[6]!, request: { requestId: 'r7' } })],
  ['exactly once', 'a rotation that is missing', ({ acme }) => void (acme[6] = use('Encrypt', 'own'))],
  ['nothing lost', 'a stop that is not there', ({ state }) => void Object.assign(state, { stops: [] })],
  ['nothing lost', 'the end of the log', () => undefined, (records) => void records.pop()],
  [
    'nothing lost',
    'a record other than the signed one',
    () => undefined,
    (records) => void (records[0] = stored([{ ...body('CreateKey', 'before', { key: KEY }), v: 2 }])[0]!),
  ],
  [
    'nothing lost',
    'a record other than an auditor was shown',
    ({ calls }) => change(calls, 8, { got: { records: [[1, 'another', 'Encrypt']] } }),
  ],
  ['decryptability', 'a ciphertext that opens to something else', ({ opened }) => void opened.set('c', { digest: 'other' })],
  ['decryptability', 'a ciphertext that does not open', ({ opened }) => void opened.clear()],
  ['no surprise', 'a defect', ({ calls }) => change(calls, 7, { status: 500 })],
  ['no surprise', 'a process that ended by itself', (story) => void (story.ends = 1)],
  ['isolation', "another call's plaintext", ({ calls }) => change(calls, 1, { got: { items: [{ digest: 'other', keyId: 'key_1' }] } })],
  ['isolation', "another tenant's ciphertext", ({ calls }) => change(calls, 9, { status: 200, got: { items: [{ digest: 'd' }] } })],
  ['isolation', "another tenant's key", ({ calls }) => change(calls, 1, { got: { items: [{ digest: 'd', keyId: 'key_2' }] } })],
  ['isolation', "another tenant's log", ({ calls }) => change(calls, 8, { tenant: 'globex', about: { foreign: true } })],
  ['isolation', 'one ciphertext for two', ({ calls }) => void calls.push(used(10, 'Encrypt', 1, { digest: 'd' }, { ciphertext: 'c' }))],
];

describe('the checker', () => {
  it('finds nothing in an honest story', () => expect(judge(evidenceOf(honest()))).toEqual({}));

  it.each(LIES.map(([property, name, lie, late]) => ({ property, name, lie, late })))(
    'sees against $property: $name',
    ({ property, lie, late }) => {
      const story = honest();
      lie(story);
      expect(Object.keys(judge(evidenceOf(story, late)))).toContain(property);
    },
  );

  it('tells what stays away', () => {
    expect(judge({ ...evidenceOf(honest()), unwell: ['data-plane-1 serves acme'] })).toEqual({ recovery: ['data-plane-1 serves acme'] });
  });
});
