import type { Alias, GrantedOperation, KeyId, PolicyDocument, PreviewAnswer, SecretId, SecretName, TenantId } from '#contract';
import { takingBreaths } from '../breaths.js';
import {
  type CompiledPolicy,
  type GrantDecision,
  type GrantPolicy,
  type GrantRequest,
  type PolicyTools,
  RecordedContext,
} from '../ports/grants.js';
import type { KeyNames, RecordedUse, Reads, UseReads } from '../ports/reads.js';
import { subjectOf } from '../principal.js';
import type { SecretReads } from '../ports/secrets.js';
import { paidOnce, SEALING_USES } from '../decide-secret.js';
import { secretContext } from '../secret-sealing.js';
import type { Snapshot } from '../snapshot.js';
import { everyKey } from './every-key.js';
import { grouped } from './grouped.js';
import { mayAsk } from './who-can.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const PAGE = 1000;
const SECRETS_PAGE = 100;
/** Records that a preview looks at: some seconds of work. */
const MOST_RECORDS = 200_000;
const MOST_CHANGES = 100;
const MOST_SENTENCES = 10;

interface PreviewParts {
  readonly reads: Pick<Reads, 'keyNames'>;
  readonly uses: Pick<UseReads, 'recordedUses' | 'callsSince'>;
  readonly secrets: Pick<SecretReads, 'secrets'>;
  readonly grants: GrantPolicy;
  readonly tools: Pick<PolicyTools, 'whoCan'>;
}

type Verdict = 'newlyRefused' | 'newlyAllowed' | 'unjudged' | 'same';
type Change = PreviewAnswer['changes'][number];

/** What a use was about, by the names that it has now. */
interface About {
  readonly key: KeyNames;
  readonly secret?: { readonly secretId: SecretId; readonly name: SecretName } | undefined;
}

/**
 * Replays the recorded decisions of the last days against a draft: what would have been refused that was allowed, and the other way
 * round. A record holds the context as digests, which suffices; it does not hold addresses, so what hinges on one is not judged.
 * Keys count by the aliases and tags that they have now; secrets by their names, and for their values the keys that seal them, as well.
 */
export async function previewOf(
  { reads, uses, secrets, grants, tools }: PreviewParts,
  snapshot: Snapshot,
  draft: PolicyDocument,
  days: number,
  now: number,
): Promise<PreviewAnswer> {
  const { tenant, policy } = snapshot.rules;
  const compile = (document: PolicyDocument | undefined) => grants.compile({ tenant, document, stops: [] });
  const [before, after] = [compile(policy?.document), compile(draft)];
  const keys = new Map<KeyId, KeyNames>();
  for await (const key of everyKey(reads, tenant)) keys.set(key.keyId, key);
  const known = await secretsOf(secrets, tenant);
  const aboutOf = ({ keyId, secret: of }: RecordedUse): About | undefined => {
    const secret = of && known.get(of.id);
    const named = of === undefined ? keyId : secret?.keyId;
    const key = named && keys.get(named);
    return key && { key, secret };
  };
  const since = new Date(now - days * DAY_MS);
  const changes = new Map<string, Change>();
  /** Keys that were decrypted with, by whom, and whether one of these calls would still be allowed. */
  const readable = new Map<KeyId, { still: boolean; readonly readers: Set<string> }>();
  const breath = takingBreaths();
  let calls = 0;
  let looked = 0;
  let next: bigint | undefined;
  do {
    const page = await uses.recordedUses(tenant, { since, before: next, limit: PAGE });
    for (const use of page.uses) {
      const about = aboutOf(use);
      if (about === undefined) continue;
      calls += use.count;
      const verdict = judge(before, after, use, requestsOf(use, about, snapshot));
      if (use.allowed && use.operation === 'Decrypt') {
        const { keyId } = about.key;
        const reading = readable.get(keyId) ?? { still: false, readers: new Set() };
        readable.set(keyId, reading);
        reading.still ||= verdict !== 'newlyRefused';
        reading.readers.add(subjectOf({ name: use.service }));
      }
      count(changes, use, about, verdict);
      await breath();
    }
    looked += PAGE;
    next = page.next;
  } while (next !== undefined && looked < MOST_RECORDS);

  const lockouts = [...readable].flatMap(([keyId, { still, readers }]) => {
    const key = keys.get(keyId);
    return key === undefined || still || hasNewReader(tools, snapshot, draft, key, readers) ? [] : [named(key)];
  });
  const inAll = next === undefined ? undefined : await uses.callsSince(tenant, since);
  const sum = (which: Exclude<Verdict, 'same'>) => [...changes.values()].reduce((total, change) => total + change[which], 0);
  const totals = { newlyRefused: sum('newlyRefused'), newlyAllowed: sum('newlyAllowed'), unjudged: sum('unjudged') };
  const largest = [...changes.values()].sort((a, b) => weight(b) - weight(a)).slice(0, MOST_CHANGES);
  return {
    from: since.toISOString(),
    calls,
    complete: next === undefined,
    ...(inAll !== undefined && { inAll }),
    ...totals,
    changes: largest,
    lockouts,
    sentences: [...(inAll === undefined ? [] : [lookedAt(calls, inAll)]), ...sentences(calls, totals, largest, lockouts)],
  };
}

/** Those that are there, by their ids: names stay, and so do keys. */
async function secretsOf(reads: Pick<SecretReads, 'secrets'>, tenant: TenantId) {
  const secrets = new Map<SecretId, { readonly secretId: SecretId; readonly name: SecretName; readonly keyId: KeyId }>();
  let cursor: string | undefined;
  do {
    const page = await reads.secrets(tenant, { limit: SECRETS_PAGE, cursor });
    for (const { secretId, name, keyId } of page.items) secrets.set(secretId, { secretId, name, keyId });
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return secrets;
}

/** May somebody decrypt with this key by the draft who did not do so lately, and whose calls are therefore not among those replayed? */
function hasNewReader(
  tools: Pick<PolicyTools, 'whoCan'>,
  { rules }: Snapshot,
  draft: PolicyDocument,
  key: KeyNames,
  known: ReadonlySet<string>,
): boolean {
  const { tenant, services } = rules;
  return tools
    .whoCan({ tenant, document: draft, stops: [] }, key)
    .some(({ subject, operations }) => !known.has(subject) && mayAsk(services, subject, operations).includes('Decrypt'));
}

/** What had to be granted: the use, and of a value of a secret what that needs of its key. */
function requestsOf(use: RecordedUse, { key, secret }: About, snapshot: Snapshot): readonly GrantRequest[] {
  const { keyId, aliases, tags } = key;
  const digests = new Set(use.contextDigests);
  const recorded = new RecordedContext(digests.size, (name, value) => digests.has(snapshot.digest(name, value)));
  const caller = { subject: subjectOf({ name: use.service }), authMethod: use.authMethod, justification: use.justification };
  const circumstances = { ...caller, at: use.at.getTime(), sourceAddress: undefined };
  const ofKey = { ...circumstances, keyId, aliases, tags };
  if (secret === undefined) return [{ ...ofKey, operation: use.operation, context: recorded }];
  const versioned = use.operation === 'GetSecretValue' || use.operation === 'PutSecretValue' ? use.operation : undefined;
  const context = versioned ? secretContext({ secretId: secret.secretId, versionId: use.secret?.versionId ?? '' }) : {};
  const ofSecret = { ...circumstances, keyId: undefined, secret: secret.name, aliases: [], tags: {} };
  return [
    { ...ofSecret, operation: use.operation, context },
    ...(versioned ? [{ ...ofKey, operation: SEALING_USES[versioned], context }] : []),
  ];
}

/**
 * What was allowed is compared as it was recorded; what was refused only if the rules in force would refuse it, and no stop or state.
 * Limits are not counted again: what a new one would have refused depends on all other calls.
 */
function judge(before: CompiledPolicy, after: CompiledPolicy, use: RecordedUse, requests: readonly GrantRequest[]): Verdict {
  const decisions = requests.map((request) => after.decide(request));
  const allowed = decisions.every(allows) && mayPay(use.operation, decisions);
  const couldBe = (policy: CompiledPolicy) => requests.every((request) => policy.couldAllow(request));
  if (use.allowed) {
    if (allowed) return decisions.every((one, at) => limitsAlike(one, () => before.decide(requests[at]!))) ? 'same' : 'unjudged';
    return decisions.every(allows) || !couldBe(after) ? 'newlyRefused' : 'unjudged';
  }
  if (couldBe(before)) return 'same';
  if (allowed) return 'newlyAllowed';
  return couldBe(after) ? 'unjudged' : 'same';
}

const allows = ({ grant, guardrail, stop }: GrantDecision): boolean => grant !== undefined && guardrail === undefined && stop === undefined;

/** Limits of two grants are paid by none, and a put by no limit at all (decide-secret.ts). */
function mayPay(operation: GrantedOperation, [one, other]: readonly GrantDecision[]): boolean {
  const charges = one && other ? paidOnce(one.limited, other.limited) : [];
  return charges !== undefined && (operation !== 'PutSecretValue' || charges.length === 0);
}

const limitsAlike = ({ limited }: GrantDecision, before: () => GrantDecision): boolean =>
  limited.length === 0 || limitsIn(limited) === limitsIn(before().limited);

const limitsIn = (limited: GrantDecision['limited']) => JSON.stringify(limited.map(({ ruleId, limits }) => [ruleId, limits]));

function count(changes: Map<string, Change>, use: RecordedUse, { key, secret }: About, verdict: Verdict): void {
  if (verdict === 'same') return;
  const name = `${use.service} ${use.operation} ${secret?.name ?? key.keyId}`;
  const change = changes.get(name) ?? {
    subject: subjectOf({ name: use.service }),
    operation: use.operation,
    ...named(key),
    ...(secret && { secret: secret.name }),
    ...{ newlyRefused: 0, newlyAllowed: 0, unjudged: 0 },
  };
  change[verdict] += use.count;
  changes.set(name, change);
}

const lookedAt = (calls: number, inAll: number) => `Only the newest ${grouped(calls)} of ${grouped(inAll)} calls were judged.`;

const named = ({ keyId, aliases }: KeyNames): { keyId: KeyId; alias?: Alias } => ({ keyId, ...(aliases[0] && { alias: aliases[0] }) });
const weight = ({ newlyRefused, newlyAllowed, unjudged }: Change): number => newlyRefused + newlyAllowed + unjudged / 1000;

function sentences(
  calls: number,
  totals: Pick<PreviewAnswer, 'newlyRefused' | 'newlyAllowed' | 'unjudged'>,
  changes: readonly {
    subject: string;
    operation: GrantedOperation;
    keyId: string;
    alias?: string | undefined;
    secret?: string | undefined;
    newlyRefused: number;
    newlyAllowed: number;
  }[],
  lockouts: PreviewAnswer['lockouts'],
): string[] {
  const called = ({ secret, alias, keyId }: { secret?: string | undefined; alias?: string | undefined; keyId: string }) =>
    secret ?? alias ?? keyId;
  return [
    `${grouped(totals.newlyRefused)} of ${grouped(calls)} calls would newly be refused.`,
    ...(totals.newlyAllowed > 0 ? [`${grouped(totals.newlyAllowed)} calls that were refused would be allowed.`] : []),
    ...changes
      .filter(({ newlyRefused, newlyAllowed }) => newlyRefused + newlyAllowed > 0)
      .slice(0, MOST_SENTENCES)
      .map((change) => {
        const { newlyRefused, newlyAllowed } = change;
        const what = newlyRefused > 0 ? `${grouped(newlyRefused)} newly refused` : `${grouped(newlyAllowed)} newly allowed`;
        return `${change.subject} ${change.operation} with ${called(change)}: ${what}.`;
      }),
    ...lockouts.map((key) => `Nobody could decrypt with ${called(key)} any more.`),
    ...(totals.unjudged > 0
      ? [`${grouped(totals.unjudged)} could not be judged: their records do not hold what a condition asks about, or a limit is new.`]
      : []),
  ];
}
