import type { LintFinding, PolicyAnswer, PolicyDocument, PolicyDraftAnswer, TenantId } from '#contract';
import { policyRow } from '../bound-rows.js';
import { InvalidRequest, KeywardError } from '../errors.js';
import type { Handler, Handlers, Step } from '../pipeline.js';
import { policyDigest } from '../policy-digest.js';
import type { RuleBindings, RuleOperation } from '../ports/custody.js';
import type { GrantPolicy, PolicyTools } from '../ports/grants.js';
import type { Reads, UseReads } from '../ports/reads.js';
import type { OperationReads } from '../ports/rewraps.js';
import type { RowProofs, StoredPolicy } from '../ports/rules.js';
import type { SecretReads } from '../ports/secrets.js';
import { changedFields } from './changed-fields.js';
import { previewOf } from './policy-preview.js';
import { simulate } from './simulate.js';
import { TenantTurns } from './tenant-turns.js';
import { whoCanPage } from './who-can.js';
import { onlyFor, whoCanSecret } from './who-can-secret.js';

type PolicyOperation =
  | 'PutPolicy'
  | 'GetPolicy'
  | 'ListPolicyVersions'
  | 'GetPolicyVersion'
  | 'ExportPolicy'
  | 'DiffPolicy'
  | 'RollbackPolicy'
  | 'LintPolicy'
  | 'PutPolicyDraft'
  | 'GetPolicyDraft'
  | 'DiscardPolicyDraft'
  | 'ValidatePolicyDraft'
  | 'PreviewPolicyDraft'
  | 'PublishPolicyDraft'
  | 'SimulatePolicy'
  | 'WhoCan';

export interface PolicyParts {
  readonly custody: Pick<RuleBindings, 'bindRule'>;
  readonly rules: RowProofs;
  readonly reads: Reads;
  readonly uses: UseReads;
  readonly operations: Pick<OperationReads, 'workersRewraps'>;
  readonly secrets: SecretReads;
  readonly grants: GrantPolicy;
  readonly tools: PolicyTools;
}

type Publication = Pick<Step<RuleOperation & PolicyOperation>, 'call' | 'principal' | 'snapshot' | 'now' | 'permit'>;

/** A tenant's policy: from the first draft to what a change of it would have done last month. */
export function policyHandlers(parts: PolicyParts): Handlers<PolicyOperation> {
  const { custody, rules, reads, operations, secrets, tools, grants, uses } = parts;
  const secretParts = { secrets, proofs: rules, grants, tools };
  const turns = new TenantTurns();
  const inTurn =
    <Operation extends PolicyOperation>(handler: Handler<Operation>): Handler<Operation> =>
    (step) =>
      turns.run(step.call.tenant, () => handler(step));
  /** Tenants whose preview is under way: seconds of work, one at a time. */
  const previews = new Set<TenantId>();

  /** A new version, whoever wrote its words. `replaces`: the version that the author has read. */
  async function publish({ call, principal, snapshot, now, permit }: Publication, document: PolicyDocument, replaces: number) {
    const present = snapshot.rules.policy?.version ?? 0;
    if (replaces !== present) throw new KeywardError('precondition-failed', `The published version is ${present}.`);
    const answer: PolicyAnswer = {
      version: present + 1,
      digest: policyDigest(document),
      author: principal.name,
      publishedAt: new Date(now).toISOString(),
      document,
    };
    const change = changedFields(told(snapshot.rules.policy), told(answer));
    const policy: StoredPolicy = { ...answer, mac: await custody.bindRule(permit(), policyRow(call.tenant, answer)) };
    return { answer, policy, change };
  }

  const read = (step: Pick<Step<'LintPolicy'>, 'input' | 'snapshot'>) => tools.read(step.input, servicesOf(step));

  async function draftOf(tenant: TenantId): Promise<PolicyDraftAnswer> {
    const draft = await reads.policyDraft(tenant);
    if (draft === undefined) throw new KeywardError('not-found', 'There is no draft.');
    return { ...draft, digest: policyDigest(draft.document) };
  }

  /** Proven anew: rolled back to, what somebody wrote into an old version would be bound as if it had been published. */
  async function versionOf(tenant: TenantId, version: number): Promise<PolicyAnswer> {
    const found = await reads.policyVersion(tenant, version);
    if (found === undefined) throw new KeywardError('not-found', `There is no version ${version} of the policy.`);
    const { mac, ...policy } = found;
    await rules.mustBeBound({ ...policyRow(tenant, policy), mac });
    return policy;
  }

  return {
    PutPolicy: inTurn(async (step) => {
      const { document } = step.input;
      refuseErrors(tools.lint(document, undefined));
      const { answer, policy, change } = await publish(step, document, step.input.replaces);
      return { answer, details: { change }, apply: (writes) => writes.insertPolicy(policy) };
    }),

    GetPolicy: async ({ snapshot }) => {
      const { policy } = snapshot.rules;
      if (policy === undefined) throw new KeywardError('not-found', 'No policy has been published.');
      const { mac: _, ...answer } = policy;
      return { answer, details: {} };
    },

    ListPolicyVersions: async ({ input, call }) => ({ answer: await reads.policyVersions(call.tenant, input), details: {} }),

    GetPolicyVersion: async ({ input, call }) => ({ answer: await versionOf(call.tenant, input.version), details: {} }),

    ExportPolicy: async ({ input, call }) => ({ answer: tools.toCsv((await versionOf(call.tenant, input.version)).document), details: {} }),

    DiffPolicy: inTurn(async ({ input, call, snapshot }) => {
      const { from = snapshot.rules.policy?.version ?? 0, to } = input;
      const documentOf = async (version: number) => (version === 0 ? undefined : (await versionOf(call.tenant, version)).document);
      const before = await documentOf(from);
      const after = to === undefined ? (await draftOf(call.tenant)).document : await documentOf(to);
      return { answer: { from, ...(to !== undefined && { to }), ...tools.diff(before, after) }, details: {} };
    }),

    /** The old words as a new version: history is only ever added to. */
    RollbackPolicy: async (step) => {
      const { version, replaces } = step.input;
      const { document } = await versionOf(step.call.tenant, version);
      const { answer, policy, change } = await publish(step, document, replaces);
      return {
        answer,
        details: { change: { ...change, rollbackTo: version } },
        apply: (writes) => writes.insertPolicy(policy),
      };
    },

    LintPolicy: inTurn(async (step) => {
      const { document, findings } = read(step);
      return { answer: { ...verdict(findings), sentences: document === undefined ? [] : tools.sentences(document) }, details: {} };
    }),

    PutPolicyDraft: inTurn(async (step) => {
      const { document, findings } = read(step);
      refuseErrors(findings);
      if (document === undefined) throw new KeywardError('invalid-request', 'This is not a policy.');
      const { principal, now } = step;
      const draft = { digest: policyDigest(document), author: principal.name, savedAt: new Date(now).toISOString(), document };
      return { answer: draft, details: { change: { policyDigest: draft.digest } }, apply: (writes) => writes.putPolicyDraft(draft) };
    }),

    GetPolicyDraft: async ({ call }) => ({ answer: await draftOf(call.tenant), details: {} }),

    DiscardPolicyDraft: async ({ call }) => {
      const draft = await reads.policyDraft(call.tenant);
      const change = changedFields(draft === undefined ? {} : { draftDigest: policyDigest(draft.document) }, {});
      return { answer: undefined, details: { change }, apply: (writes) => writes.deletePolicyDraft() };
    },

    ValidatePolicyDraft: inTurn(async (step) => {
      const { digest, document } = await draftOf(step.call.tenant);
      const { policy } = step.snapshot.rules;
      const { change, sentences: diff } = tools.diff(policy?.document, document);
      const findings = tools.lint(document, servicesOf(step));
      return {
        answer: { ...verdict(findings), sentences: tools.sentences(document), digest, replaces: policy?.version ?? 0, change, diff },
        details: {},
      };
    }),

    PreviewPolicyDraft: async ({ input, call, snapshot, now }) => {
      const { tenant } = call;
      const { document } = await draftOf(tenant);
      if (previews.has(tenant)) throw new KeywardError('too-many-requests', 'Another preview is under way.', { retryAfterSeconds: 5 });
      previews.add(tenant);
      try {
        return { answer: await previewOf({ reads, uses, secrets, grants, tools }, snapshot, document, input.days, now), details: {} };
      } finally {
        previews.delete(tenant);
      }
    },

    PublishPolicyDraft: inTurn(async (step) => {
      const { replaces, acknowledge } = step.input;
      const { document, digest } = await draftOf(step.call.tenant);
      // No MAC protects a draft: what is published is what its author has read, or nothing.
      if (digest !== step.input.digest) throw new KeywardError('precondition-failed', 'The draft is another one. Validate it again.');
      const findings = tools.lint(document, servicesOf(step));
      refuseErrors(findings);
      refuseErrors(
        findings.filter(({ code }) => !acknowledge.includes(code)),
        'These warnings were not acknowledged.',
      );
      const { answer, policy, change } = await publish(step, document, replaces);
      return {
        answer,
        details: { change },
        apply: async (writes) => {
          await writes.insertPolicy(policy);
          await writes.deletePolicyDraft();
        },
      };
    }),

    SimulatePolicy: inTurn(async (step) => {
      const { against } = step.input;
      const { tenant } = step.call;
      const document =
        against === undefined
          ? step.snapshot.rules.policy?.document
          : (against === 'draft' ? await draftOf(tenant) : await versionOf(tenant, against)).document;
      return { answer: await simulate(secretParts, step, document), details: {} };
    }),

    WhoCan: inTurn(async (step) => {
      const { secretId, operation } = step.input;
      if (secretId === undefined) return { answer: await whoCanPage({ reads, operations, tools, grants }, step), details: {} };
      const entries = await whoCanSecret(secretParts, step, secretId);
      return { answer: { items: onlyFor(operation, entries) }, details: {} };
    }),
  };
}

const told = (policy: Pick<PolicyAnswer, 'version' | 'digest'> | undefined) =>
  policy === undefined ? {} : { policyVersion: policy.version, policyDigest: policy.digest };

const servicesOf = ({ snapshot }: Pick<Step<'LintPolicy'>, 'snapshot'>): ReadonlySet<string> => new Set(snapshot.rules.services.keys());

const verdict = (findings: LintFinding[]) => ({ valid: findings.every(({ severity }) => severity !== 'error'), findings });

/** @throws InvalidRequest naming every place */
function refuseErrors(findings: readonly LintFinding[], detail?: string): void {
  const errors = detail === undefined ? findings.filter(({ severity }) => severity === 'error') : findings;
  if (errors.length === 0) return;
  const fields = errors.slice(0, 50).map(({ code, path, line, message }) => ({
    field: `${path || 'document'}${line === undefined ? '' : ` (line ${line})`}`,
    message: `${code}: ${message}`,
  }));
  throw new InvalidRequest(fields, detail);
}
