import type { Alias, PolicyDocument, TenantId } from '#contract';
import {
  type CompiledPolicy,
  type GrantPolicy,
  liftedDigest,
  NO_DECISION,
  newKeyId,
  noGrants,
  type RecordedUse,
  type RuleStore,
  Snapshot,
  type TenantRules,
  type WhoCan,
} from '#core';
import { previewOf } from './policy-preview.js';

const ACME = 'acme' as TenantId;
const NOW = Date.UTC(2026, 0, 31);
const key = { keyId: newKeyId(1), state: 'Enabled' as const, aliases: ['alias/crm' as Alias], tags: {} };
const draft: PolicyDocument = { schema: 'keyward.policy/1', roles: {}, grants: [], guardrails: [] };
const mail = { operations: ['Decrypt'], suspended: false } as const;

/** A tenant whose policy in force allowed `count` decryptions of crm by billing; the draft allows none of them. */
function aWorld({
  count = 3,
  readers = [] as string[],
  slowly = (): void => undefined,
  /** There are more records than a preview looks at. */
  endless = false,
  /** By a grant that may allow so many a day. */
  limits = { before: undefined as number | undefined, after: undefined as number | undefined },
} = {}) {
  const use: Omit<RecordedUse, 'seq'> = {
    ...{ at: new Date(NOW), operation: 'Decrypt', service: 'billing', authMethod: 'api-key', keyId: key.keyId },
    ...{ contextDigests: [], justification: null, allowed: true, count: 1 },
  };
  const rules: TenantRules = {
    ...{ tenant: ACME, state: 'Active', epochs: { tenant: 'e', platform: 'p' }, log: { logId: 'l', origin: 'o', vkey: 'v' } },
    ...{ contextSalt: new Uint8Array(32), policy: undefined, stops: [], lifted: { count: 0, digest: liftedDigest([]), mac: undefined } },
    ...{ services: new Map([['mail', mail]]), suspended: false },
  };
  const decideBy =
    (perDay: number | undefined): CompiledPolicy['decide'] =>
    () => {
      slowly();
      return perDay === undefined ? NO_DECISION : { ...NO_DECISION, grant: 'g', limited: [{ ruleId: 'g', limits: { perDay } }] };
    };
  const grants: GrantPolicy = {
    compile: (policy) => ({
      ...noGrants.compile(policy),
      decide: decideBy(policy.document === draft ? limits.after : limits.before),
    }),
  };
  const parts = {
    reads: { keyNames: async () => ({ items: [key] }) },
    uses: {
      recordedUses: async () => ({
        uses: Array.from({ length: count }, (_, at) => ({ ...use, seq: BigInt(at) })),
        next: endless ? 1n : undefined,
      }),
      callsSince: async () => 1_234_567,
    },
    secrets: { secrets: async () => ({ items: [] }) },
    grants,
    tools: {
      whoCan: () =>
        readers.map((subject): WhoCan => ({ subject, role: undefined, operations: ['Decrypt'], grant: 'g', conditions: '', except: [] })),
    },
  };
  const snapshot = new Snapshot(rules, noGrants.compile({ tenant: ACME, document: undefined, stops: [] }), {} as Pick<RuleStore, 'key'>);
  return () => previewOf(parts, snapshot, draft, 30, NOW);
}

describe('the preview of a draft', () => {
  const LOCKED_OUT = 'Nobody could decrypt with alias/crm any more.';

  it.each<[string, string[], boolean]>([
    ['nobody else is granted it', [], true],
    ['only those are granted it whose calls would be refused', ['svc:billing'], true],
    ['somebody new is granted it', ['svc:billing', 'svc:mail'], false],
    ['somebody new is granted it whom the ISV does not let ask', ['svc:unknown'], true],
  ])('calls a key locked when all its readers are refused, and %s', async (_, readers, locked) => {
    const { lockouts, sentences } = await aWorld({ readers })();
    expect([lockouts.length, sentences.includes(LOCKED_OUT)]).toEqual([locked ? 1 : 0, locked]);
    expect(sentences[0]).toBe('3 of 3 calls would newly be refused.');
  });

  it.each<[string, { before: number | undefined; after: number | undefined }, number]>([
    ['new', { before: undefined, after: 5 }, 3],
    ['another one', { before: 9, after: 5 }, 3],
    ['as it was', { before: 5, after: 5 }, 0],
  ])('does not say what a limit would have refused that is %s', async (_, limits, unjudged) => {
    expect(await aWorld({ limits })()).toMatchObject({ newlyRefused: 0, unjudged, lockouts: [] });
  });

  it('says how many calls there were in all, where it did not look at all of them', async () => {
    const { complete, inAll, sentences } = await aWorld({ endless: true })();
    expect([complete, inAll, sentences[0]]).toEqual([false, 1_234_567, 'Only the newest 600 of 1,234,567 calls were judged.']);
  });

  it('lets others have their turn meanwhile', async () => {
    const slowly = () => {
      const until = performance.now() + 1;
      while (performance.now() < until);
    };
    let [turns, done] = [0, false];
    const others = () => {
      turns++;
      if (!done) setImmediate(others);
    };
    setImmediate(others);
    await aWorld({ count: 300, slowly })();
    done = true;
    expect(turns).toBeGreaterThan(10);
  });
});
