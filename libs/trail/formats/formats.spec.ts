import { CloudEvent, ValidationError } from 'cloudevents';
import fc from 'fast-check';
import { z } from 'zod';
import { OPERATION_NAMES, RECORD_FORMATS, type RecordBody, type RecordFormat, recordBody, SYSTEM_OPERATIONS } from '#contract';
import { digestOfDisclosure } from '../disclosure.js';
import { disclosuresByDigest, encodeRecord, formatRecord, leafHash, RecordRefused, spliceRecord } from '../index.js';
import { fromUtf8, hex } from '../octets.js';
import { vectors } from '../test/vectors.js';

const BODY = vectors('record-body.json', z.custom<RecordBody>());
const POSITION = { seq: 12n, recordedAt: '2026-03-01T12:00:00.000001Z', writer: 'keyward_data_plane' };
/** Beside an event of this size there must be room for its frame in a message of 20 kB. */
const MAX_EVENT_BYTES = 19_500;

const textOf = (body: Partial<RecordBody> = {}) => fromUtf8(spliceRecord(encodeRecord({ ...BODY, ...body }), POSITION));
const leafOf = (text: string) => hex(leafHash(Buffer.from(text)));
const eventOf = (format: RecordFormat, text: string) => JSON.parse(formatRecord(format, 'acme', text)) as Record<string, unknown>;
const shaped = RECORD_FORMATS.filter((format) => format !== 'jsonl');

/** Records with any text where the schema takes text, and refusals, dry runs and changes. */
const records = fc
  .record({
    op: fc.constantFrom(...OPERATION_NAMES, ...SYSTEM_OPERATIONS),
    principal: fc.string({ unit: 'grapheme', maxLength: 60 }),
    reason: fc.string({ unit: 'binary', maxLength: 200 }),
    ruleId: fc.string({ unit: 'grapheme-composite', maxLength: 60 }),
    value: fc.string({ unit: 'binary', maxLength: 200 }),
    refused: fc.boolean(),
  })
  .map(({ op, principal, reason, ruleId, value, refused }) => ({
    ...BODY,
    op,
    actor: { ...BODY.actor, principal },
    outcome: refused ? ('refused' as const) : ('succeeded' as const),
    ...(refused && { error: { code: 'not-granted' as const, reason } }),
    authz: { decision: 'deny' as const, ruleId },
    change: { description: value },
  }))
  .filter((body) => recordBody.safeParse(body).success);

describe('a record as it leaves', () => {
  it('is itself, byte for byte, as JSON Lines, whether this version knows its schema or not', () => {
    expect(formatRecord('jsonl', 'acme', textOf())).toBe(textOf());
    expect(formatRecord('jsonl', 'acme', '{"v":2}')).toBe('{"v":2}');
  });

  it.each(shaped)('is refused as %s where it is none of schema v1', (format) => {
    expect(() => formatRecord(format, 'acme', '{"v":2}')).toThrow(RecordRefused);
  });

  it('tells the personal fields that are its own, were handed over and fit their digests; and none by itself', () => {
    const told = ['sourceIp', 'userAgent'].map((name) =>
      Buffer.from(JSON.stringify(['s'.repeat(22), name, `its-${name}`])).toString('base64url'),
    );
    const foreign = Buffer.from(JSON.stringify(['t'.repeat(22), 'sourceIp', 'foreign'])).toString('base64url');
    const text = textOf({ _sd: told.map((one) => digestOfDisclosure(one)) });
    const disclosures = disclosuresByDigest([foreign, ...told]);
    const event = (format: RecordFormat) => JSON.parse(formatRecord(format, 'acme', text, disclosures)) as unknown;
    expect(event('cloudtrail')).toMatchObject({ sourceIPAddress: 'its-sourceIp', userAgent: 'its-userAgent' });
    expect(event('actiontrail')).toMatchObject({ sourceIpAddress: 'its-sourceIp', userAgent: 'its-userAgent' });
    expect(event('ocsf')).toMatchObject({ src_endpoint: { ip: 'its-sourceIp' }, http_request: { user_agent: 'its-userAgent' } });
    for (const format of RECORD_FORMATS) expect(formatRecord(format, 'acme', text)).not.toContain('its-');
  });

  it('is one line of printable JSON, small enough for a message, and says where it stands: whatever its text', () => {
    fc.assert(
      fc.property(records, fc.constantFrom(...shaped), (body, format) => {
        const text = textOf(body);
        const line = formatRecord(format, 'acme', text);
        expect(line).not.toMatch(/\p{Cc}/u);
        expect(Buffer.byteLength(line)).toBeLessThan(MAX_EVENT_BYTES);
        expect(line).toContain(leafOf(text));
        // What somebody wrote stands only in values, and comes back as it was.
        expect(JSON.stringify(JSON.parse(line))).toBe(line);
        expect(Object.keys(JSON.parse(line) as object)).toEqual(Object.keys(eventOf(format, textOf({ op: body.op, ...errorOf(body) }))));
      }),
      { numRuns: 1000 },
    );
  });

  it.each(shaped)('fits a message as %s however large it is', (format) => {
    const change = Object.fromEntries(Array.from({ length: 3 }, (_, at) => [`field${at}`, '"'.repeat(1150)]));
    const text = textOf({ change });
    expect(Buffer.byteLength(text)).toBeGreaterThan(7500);
    expect(Buffer.byteLength(formatRecord(format, 'acme', text))).toBeLessThan(MAX_EVENT_BYTES);
  });
});

const errorOf = ({ outcome, error }: Pick<RecordBody, 'outcome' | 'error'>) => (error ? { outcome, error } : {});

describe('as CloudEvents 1.0', () => {
  it('is taken by the library of the specification, for every operation', () => {
    fc.assert(
      fc.property(records, (body) => {
        const event = new CloudEvent(eventOf('cloudevents', textOf(body)));
        expect(event.validate()).toBe(true);
        expect(event).toMatchObject({ specversion: '1.0', type: `keyward.record.v1.${body.op}`, sequence: '12' });
      }),
      { numRuns: 200 },
    );
  });

  it('would not be taken without a source', () => {
    expect(() => new CloudEvent({ ...eventOf('cloudevents', textOf()), source: '' }, true)).toThrow(ValidationError);
  });

  it('carries the record so that its leaf hash can be computed from it', () => {
    const { data, leafhash } = eventOf('cloudevents', textOf());
    expect(leafhash).toBe(leafOf(JSON.stringify(data)));
  });
});

/** What class 6003 of OCSF 1.3.0 requires, its base event and the objects that are used here. */
const uid = z.string().min(1);
const apiActivity = z.object({
  activity_id: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4), z.literal(99)]),
  activity_name: uid,
  category_uid: z.literal(6),
  class_uid: z.literal(6003),
  type_uid: z.int(),
  severity_id: z.int().min(0).max(6),
  status_id: z.int().min(0).max(2),
  time: z.int(),
  actor: z.object({ user: z.object({ uid, name: uid, type_id: z.int() }) }),
  api: z.object({ operation: uid, request: z.object({ uid }), service: z.object({ name: uid }) }),
  src_endpoint: z.object({ uid }),
  metadata: z.object({ version: z.literal('1.3.0'), product: z.object({ name: uid, vendor_name: uid }), uid, sequence: z.int() }),
});

describe('as OCSF API Activity', () => {
  it.each([...OPERATION_NAMES, ...SYSTEM_OPERATIONS])('has what the class requires for %s', (op) => {
    const event = eventOf('ocsf', textOf({ op }));
    const { activity_id, type_uid, activity_name } = apiActivity.parse(event);
    expect(type_uid).toBe(600_300 + activity_id);
    if (activity_id === 99) expect(activity_name).toBe(op);
  });

  it('tells a refusal as a failure, with its reason', () => {
    const error = { code: 'not-granted' as const, reason: 'no grant of the tenant allows it' };
    expect(eventOf('ocsf', textOf({ outcome: 'refused', error }))).toMatchObject({
      ...{ status_id: 2, status: 'Failure', status_code: 'not-granted', status_detail: error.reason, severity_id: 2 },
    });
  });

  it('carries the record byte for byte', () => {
    expect(eventOf('ocsf', textOf())['raw_data']).toBe(textOf());
  });
});

describe("in the clouds' shapes", () => {
  it.each([
    ['ReEncryptTo', 'ReEncrypt', 'ReEncrypt'],
    ['TagKey', 'TagResource', 'TagResource'],
    ['Sign', 'Sign', 'AsymmetricSign'],
    ['Stop', 'Stop', 'Stop'],
  ] as const)('%s is named as each cloud does', (op, aws, alibaba) => {
    expect(eventOf('cloudtrail', textOf({ op }))['eventName']).toBe(aws);
    expect(eventOf('actiontrail', textOf({ op }))['eventName']).toBe(alibaba);
  });

  it('looks like an event of CloudTrail', () => {
    expect(eventOf('cloudtrail', textOf())).toMatchObject({
      ...{ eventVersion: '1.11', eventTime: '2026-03-01T12:00:00Z', readOnly: true, eventCategory: 'Data', recipientAccountId: 'acme' },
      resources: [{ accountId: 'acme', type: 'AWS::KMS::Key' }],
      additionalEventData: { seq: 12, leafHash: leafOf(textOf()) },
    });
  });

  it('looks like an event of ActionTrail', () => {
    expect(eventOf('actiontrail', textOf())).toMatchObject({
      ...{ eventVersion: '1', eventRW: 'Read', eventType: 'ApiCall', serviceName: 'Kms', recipientAccountId: 'acme' },
      additionalEventData: { seq: 12, leafHash: leafOf(textOf()) },
    });
  });
});
