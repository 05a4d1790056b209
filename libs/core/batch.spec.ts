import fc from 'fast-check';
import { Batch } from './batch.js';
import { KeywardError } from './errors.js';
import type { Done } from './handler.js';
import type { LimitedGrant } from './ports/grants.js';
import type { Appended } from './ports/trail.js';

type Decrypts = Done<'Decrypt'>;

const RULES = ['few', 'more'];
const asked = fc.record({
  /** Those of one kind end alike. */
  kind: fc.nat(2),
  charges: fc.constantFrom([], ['few'], ['few', 'more']),
  refused: fc.boolean(),
});
const scenario = fc.record({
  items: fc.array(asked, { minLength: 1, maxLength: 20 }),
  room: fc.record({ few: fc.nat(8), more: fc.nat(8) }),
  /** Of each append of each attempt, which of its records are refused by the fence. */
  stale: fc.array(fc.boolean(), { maxLength: 12 }),
  /** Custody answers in any order. */
  order: fc.array(fc.nat(), { minLength: 20, maxLength: 20 }),
});

const marked = (index: number): Uint8Array => new Uint8Array(4).fill(index + 1);
const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);

it('a batch gives every item its own result or an error, pays no more than there is, counts exactly, and leaves nothing behind', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ items, room: given, stale, order }) => {
      const room: Record<string, number> = { ...given };
      const left = [...stale];
      const batch = new Batch<'Decrypt'>(items.map(() => ({ input: { ciphertext: Buffer.alloc(0) } })));
      const secrets: { index: number; bytes: Uint8Array }[] = [];
      const done = (index: number): Decrypts => {
        const { kind, charges, refused } = items[index]!;
        const details = { crypto: { context: [`kind-${kind}`] } };
        if (refused) return { error: new KeywardError('decrypt-failed', '', { reason: `kind-${kind}` }), details };
        const plaintext = marked(index);
        secrets.push({ index, bytes: plaintext });
        const limited = charges.map((ruleId): LimitedGrant => ({ ruleId, limits: { perMinute: given[ruleId as 'few'] } }));
        return { answer: { plaintext } as never, details, secret: plaintext, charges: limited };
      };
      const records: { count: number; discarded: number; paid: string | undefined; failed: boolean }[] = [];
      let thrownAway = 0;
      const append = async (groups: Parameters<Parameters<typeof batch.record>[1]>[0]): Promise<Appended[]> =>
        groups.map(({ members, error, discarded, charge, count = 1 }) => {
          expect(count).toBe(members.length);
          if (left.pop() === true) {
            if (error === undefined) thrownAway += count;
            return { verdict: 'stale' };
          }
          if (charge !== undefined) {
            const free = room[charge.ruleId]!;
            if (count > free) return { verdict: 'over-limit', room: free };
            room[charge.ruleId] = free - count;
          }
          records.push({ count, discarded, paid: charge?.ruleId, failed: error !== undefined });
          return { verdict: 'durable', seq: BigInt(records.length - 1) };
        });

      for (let attempt = 0; attempt < 2; attempt++) {
        const open = batch.open.sort((a, b) => order[a]! - order[b]!);
        await batch.record(
          open.flatMap((index) => batch.tried(index, done(index))),
          append,
          0,
        );
      }
      const outcomes = batch.closed();

      const told = records.map(() => 0);
      for (const [index, outcome] of outcomes.entries()) {
        if ('answer' in outcome) expect([...('plaintext' in outcome.answer ? outcome.answer.plaintext : [])]).toEqual([...marked(index)]);
        const record = 'answer' in outcome ? outcome.record : outcome.error.record;
        if (record === undefined) expect(outcome).toMatchObject({ error: { reason: 'trail: stale twice' } });
        else {
          expect(records[Number(record)]!.failed).toBe('error' in outcome);
          told[Number(record)]!++;
        }
      }
      expect(told).toEqual(records.map(({ count }) => count));
      const discarded = records.reduce((sum, record) => sum + record.discarded, 0);
      const staleTwice = outcomes.filter((outcome) => 'error' in outcome && outcome.error.record === undefined).length;
      expect(discarded).toBeLessThanOrEqual(thrownAway);
      if (staleTwice === 0) expect(discarded).toBe(thrownAway);
      for (const rule of RULES) {
        const paid = records.filter((record) => record.paid === rule).reduce((sum, { count }) => sum + count, 0);
        expect(paid).toBe(given[rule as 'few'] - room[rule]!);
      }
      const answered = new Set(
        outcomes.map((outcome) => ('answer' in outcome && 'plaintext' in outcome.answer ? outcome.answer.plaintext : undefined)),
      );
      expect(secrets.every(({ bytes }) => isZero(bytes) !== answered.has(bytes))).toBe(true);
      batch.fill(0);
      expect(secrets.every(({ bytes }) => isZero(bytes))).toBe(true);
    }),
    { numRuns: 1000 },
  );
});
