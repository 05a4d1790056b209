import { CONDITION_NAMES, MAX_CONTEXT_PAIRS, MAX_DISCLOSED, OPERATION_NAMES, type OperationName, recordBody, type Role } from '#contract';
import type { Call } from './call.js';
import { DecryptFailed, Refused } from './errors.js';
import { newCredentialId, newKeyId, newKeyVersionId, newLogId, newRequestId, newStopId } from './identifiers.js';
import { OPERATIONS } from './operation-table.js';
import type { Principal } from './principal.js';
import { type LogOfRecord, recorded, type RecordDetails } from './record.js';
import { SharedDisclosures } from './disclosures.js';

/** What trail_append takes of one (migration 0008). */
const MAX_RECORD_BYTES = 8000;

const now = Date.UTC(2999, 0);
const digest = 'd'.repeat(22);
const log: LogOfRecord = { rules: { log: { logId: newLogId(now) } }, digest: () => digest, shared: new SharedDisclosures() };
const principalOf = (role: Role, name: string): Principal => ({
  ...{ role, tenant: 'platform' as Principal['tenant'], name, credentialId: newCredentialId(now) },
  ...{ authMethod: 'private-key-jwt', expiresAt: new Date(now), epoch: '' },
});
const callOf = (principal: Principal): Call => ({
  ...{ principal, tenant: 'acme' as Call['tenant'], sourceAddress: '2001:db8:0:0:0:0:0:1', userAgent: 'keyward-cli/0.1.0' },
  ...{ traceId: '0af7651916cd43dd8448eb211c80319c', requestId: newRequestId(now), startedAt: now - 5000 },
});
const PLATFORM_ID = `${'p'.repeat(40)}/${'0.1.0+'.padEnd(24, 'f')}`;
const record = (operation: OperationName, role: Role, details: RecordDetails, error?: Refused) => {
  const principal = principalOf(role, role === 'service' ? 'billing' : 'otto');
  return recorded(operation, callOf(principal), principal, log, { error, details, discarded: 0 }, now, PLATFORM_ID);
};

const LONGEST: RecordDetails = {
  key: {
    ...{ id: newKeyId(now), versionId: newKeyVersionId(now), spec: 'EC_P256K', origin: 'EXTERNAL_KEY_STORE' },
    ...{ state: 'PendingDeletion', aliasUsed: `alias/${'a'.repeat(255)}` },
  },
  crypto: { context: Array<string>(MAX_CONTEXT_PAIRS).fill(digest), mode: 'data-key', plaintextSize: '≤8192' },
  asked: { dryRun: true, justification: { code: 'MODIFIED_CUSTOMER_INITIATED_ACCESS', ticket: '\\'.repeat(64) } },
};
const lease = { until: new Date(now).toISOString(), maxUses: 2 ** 53 - 1, maxBytes: 2 ** 53 - 1 };
const ruled = { policyVersion: 2 ** 31, ruleId: 'r'.repeat(63) };
const unmet = CONDITION_NAMES.flatMap((name) => [`when.${name}`, `unless.${name}`]);

it.each<[string, RecordDetails, Refused | undefined]>([
  ['under a lease', { ...LONGEST, crypto: { ...LONGEST.crypto, lease }, authz: { ...ruled, decision: 'allow' } }, undefined],
  [
    'stopped',
    { ...LONGEST, authz: { ...ruled, decision: 'deny', stopId: newStopId(now) } },
    new Refused('stopped', '', { reason: 'stopped' }),
  ],
  ['without a grant', { ...LONGEST, authz: { ...ruled, decision: 'deny', unmet } }, new Refused('not-granted', '', { reason: 'no-grant' })],
])('the longest record that a service can cause is taken, so that every call leaves one: %s', (_, details, error) => {
  const principal = principalOf('service', 's'.repeat(64));
  const ending = { error, details, discarded: 500, count: 500 };
  const { body } = recorded('GenerateDataKeyWithoutPlaintext', callOf(principal), principal, log, ending, now, PLATFORM_ID);
  expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThanOrEqual(MAX_RECORD_BYTES);
  expect(recordBody.safeParse(body).success).toBe(true);
});

/** Something of each kind that a row may declare. */
const FIELDS: Record<(typeof OPERATIONS)[OperationName]['records'][number], RecordDetails> = {
  context: { crypto: { context: [digest] } },
  size: { crypto: { plaintextSize: '≤32' } },
  change: { change: { state: { before: 'Enabled', after: 'Disabled' }, count: 1 } },
};
const detailsOf = (fields: readonly (keyof typeof FIELDS)[]): RecordDetails => ({
  ...Object.assign({}, ...fields.map((field) => FIELDS[field])),
  ...(fields.some((field) => field !== 'change') && { crypto: Object.assign({}, ...fields.map((field) => FIELDS[field].crypto)) }),
});

describe.each(OPERATION_NAMES)('the record of %s', (operation) => {
  const { callers, records } = OPERATIONS[operation];

  it('fits the schema, whoever calls and however it ends', () => {
    for (const role of callers) {
      const { body, disclosures } = record(operation, role, detailsOf(records));
      expect(recordBody.parse(body)).toEqual(body);
      expect(body).toMatchObject({ op: operation, outcome: 'succeeded', actor: { type: role }, _sd: disclosures.map((one) => one.digest) });
      for (const error of [new Refused('not-granted', '', { reason: 'no-grant' }), new DecryptFailed('\u202eevil\n')])
        expect(recordBody.safeParse(record(operation, role, {}, error).body).error).toBeUndefined();
    }
  });

  it('tells what its row declares, or the call fails', () => {
    for (const role of callers)
      for (const missing of records)
        expect(() => record(operation, role, detailsOf(records.filter((field) => field !== missing)))).toThrow(
          expect.objectContaining({ code: 'internal', reason: `record without ${missing}` }),
        );
  });
});

describe('what a record keeps to itself', () => {
  const fieldsOf = (disclosures: readonly { text: string }[]) =>
    disclosures.map(({ text }) => (JSON.parse(Buffer.from(text, 'base64url').toString()) as string[]).slice(1));

  it('is a person’s name, address and words; none of them can be read in it', () => {
    const { body, disclosures } = record('Stop', 'admin', { change: {}, personal: [{ name: 'reason', value: 'incident of Otto’s' }] });
    expect(fieldsOf(disclosures)).toEqual([
      ['sourceIp', '2001:db8:0:0:0:0:0:1'],
      ['userAgent', 'keyward-cli/0.1.0'],
      ['userName', 'otto'],
      ['reason', 'incident of Otto’s'],
    ]);
    expect(body.actor.principal).toBe(digest);
    expect(JSON.stringify(body)).not.toMatch(/otto|2001:db8|keyward-cli|incident/i);
    expect(disclosures.map(({ about }) => about)).toEqual(Array(4).fill(digest));
  });

  it('is salted: the same words never look alike in two records of a person', () => {
    const [one, other] = [record('ListKeys', 'admin', {}), record('ListKeys', 'admin', {})];
    expect(one.body._sd!.filter((text) => other.body._sd!.includes(text))).toEqual([]);
  });

  it('is cut and cleaned, so that it can be shown', () => {
    const { disclosures } = record('Stop', 'admin', { change: {}, personal: [{ name: 'reason', value: `\u202e${'🗝'.repeat(600)}\n` }] });
    const [, value = ''] = fieldsOf(disclosures).at(-1) ?? [];
    expect([value.length <= MAX_DISCLOSED, value.isWellFormed(), value.startsWith('?')]).toEqual([true, true, true]);
  });

  it('is a service’s address, which records of ten minutes share', () => {
    const shared = new SharedDisclosures();
    const of = (address: string, at: number, who = 'billing') => shared.of('sourceIp', who, address, at).digest;
    const first = of('192.0.2.1', now);
    expect(of('192.0.2.1', now + 599_999)).toBe(first);
    const others = [of('192.0.2.2', now), of('192.0.2.1', now, 'reports'), of('192.0.2.1', now + 600_000)];
    expect(new Set([first, ...others]).size).toBe(4);
  });
});
