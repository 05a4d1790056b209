import type { Enforcer, FunctionMap } from 'casbin';
import type { RuleVerdict, TenantId } from '#contract';
import { BoundedMap, type CompiledPolicy, type GrantDecision, type GrantRequest, NO_DECISION, type TenantPolicy } from '#core';
import { possiblyHolds, surelyHolds } from './conditions.js';
import { enforcerOver, type Row } from './enforcer.js';
import { functionsOver, hearingOf, ruling } from './hearing.js';
import { DocumentRoles } from './roles.js';
import { type Rule, rulesOf } from './rules.js';
import { objectIn, operationIn } from './selectors.js';
import type { Circumstances } from './truth.js';
import { MINUTE_MS } from './zone-clock.js';

/** Combinations of subject, operation and key remembered a policy, and enforcers: many keys behind one alias prefix share one. */
const SELECTIONS_KEPT = 1024;
const ENFORCERS_KEPT = 128;

export const NO_GRANT: GrantDecision = Object.freeze({ ...NO_DECISION, limited: Object.freeze([]) });

/** The rules that can matter to one subject, operation and key, whatever the circumstances. */
interface Selection {
  readonly aliases: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly rules: readonly Rule[];
  readonly enforcer: Enforcer;
  readonly edges: readonly number[];
  readonly byTheMinute: boolean;
}

/** One tenant's rules as of one snapshot. Only its bounded memory of selections changes, and that only saves time. */
export class CasbinPolicy implements CompiledPolicy {
  readonly #tenant: TenantId;
  readonly #rules: readonly Rule[];
  readonly #roles: DocumentRoles;
  readonly #functions: FunctionMap;
  readonly #selections = new BoundedMap<string, Selection>(SELECTIONS_KEPT);
  readonly #enforcers = new BoundedMap<string, Enforcer>(ENFORCERS_KEPT);

  /**
   * @param onFault must not throw
   * @throws Error for what is no policy
   */
  constructor(
    policy: TenantPolicy,
    private readonly modelText: string,
    private readonly onFault: (error: unknown, tenant: TenantId) => void,
  ) {
    const { roles, rules } = rulesOf(policy);
    this.#tenant = policy.tenant;
    this.#rules = rules;
    this.#roles = new DocumentRoles(policy.tenant, roles);
    this.#functions = functionsOver(rules);
  }

  decide(request: GrantRequest): GrantDecision {
    return this.#failingClosed(NO_GRANT, () => {
      const { enforcer, edges, byTheMinute } = this.#selectionFor(request);
      const hearing = hearingOf(request);
      const verdict: unknown = enforcer.enforceSync(request.subject, this.#tenant, request, request.operation, hearing);
      return { ...ruling(hearing, verdict), validUntil: nextEdge(edges, byTheMinute, request.at) };
    });
  }

  explain(request: GrantRequest): readonly RuleVerdict[] {
    return this.#failingClosed([], () => {
      const { rules } = this.#selectionFor(request);
      return rules.filter(({ kind }) => kind !== 'stop').map((rule) => verdictOf(rule, request));
    });
  }

  couldAllow(request: GrantRequest): boolean {
    return this.#failingClosed(false, () => {
      const { rules } = this.#selectionFor(request);
      const could = rules.some(({ kind, conditions }) => kind === 'grant' && possiblyHolds(conditions, request));
      return could && !rules.some(({ kind, conditions }) => kind !== 'grant' && surelyHolds(conditions, request));
    });
  }

  #failingClosed<Answer>(closed: Answer, ask: () => Answer): Answer {
    try {
      return ask();
    } catch (error) {
      this.onFault(error, this.#tenant);
      return closed;
    }
  }

  #selectionFor(request: GrantRequest): Selection {
    const { subject, operation, keyId, secret } = request;
    // A caller whose name reads like a role or like "everyone" must never be matched as one.
    if (!subject.startsWith('svc:') && !subject.startsWith('wl:') && subject !== 'worker' && subject !== 'admin')
      throw new Error('A subject is svc:name, wl:cluster/name, worker or admin.');
    const name = `${subject}\n${operation}\n${keyId}\n${secret}`;
    const known = this.#selections.get(name);
    return known !== undefined && sameNames(known, request) ? known : this.#selections.set(name, this.#select(request));
  }

  #select(request: GrantRequest): Selection {
    const rows: Row[] = [];
    const rules: Rule[] = [];
    for (const rule of this.#rules) {
      const row = this.#rowFor(rule, request);
      if (row === undefined) continue;
      rows.push(row);
      rules.push(rule);
    }
    const text = JSON.stringify(rows);
    const enforcer =
      this.#enforcers.get(text) ?? this.#enforcers.set(text, enforcerOver(rows, this.modelText, this.#functions, this.#roles));
    return {
      aliases: [...request.aliases],
      tags: { ...request.tags },
      rules,
      enforcer,
      edges: rules.flatMap(({ conditions }) => conditions.edges),
      byTheMinute: rules.some(({ conditions }) => conditions.byTheMinute),
    };
  }

  /** One row a rule is enough: its conditions are the same whichever of its subjects, objects and operations is meant. */
  #rowFor(rule: Rule, request: GrantRequest): Row | undefined {
    const sub = rule.subjects.find((pattern) => this.#subjectIn(request.subject, pattern, rule.kind));
    // A grant of every key is none of secrets: who wrote it before there were any did not mean them. What denies means everything.
    const isWide = request.secret !== undefined && rule.kind === 'grant';
    const obj = rule.objects.find((pattern) => (pattern !== '*' || !isWide) && objectIn(request, pattern));
    const act = rule.operations.find((pattern) => operationIn(request.operation, pattern));
    if (sub === undefined || obj === undefined || act === undefined) return undefined;
    return [rule.id, sub, this.#tenant, obj, act, rule.conditionsId, rule.kind === 'grant' ? 'allow' : 'deny'];
  }

  /** `*` means everyone in guardrails and stops only. */
  #subjectIn(subject: string, pattern: string, kind: Rule['kind']): boolean {
    return (kind !== 'grant' && pattern === '*') || this.#roles.syncedHasLink(subject, pattern, this.#tenant);
  }
}

function verdictOf({ id, kind, conditions }: Rule, circumstances: Circumstances): RuleVerdict {
  const [effect, holds] = kind === 'grant' ? (['allow', surelyHolds] as const) : (['deny', possiblyHolds] as const);
  return {
    ruleId: id,
    effect,
    applies: holds(conditions, circumstances),
    conditions: conditions.stated.flatMap(({ in: place, condition, test }) =>
      condition === undefined ? [] : [{ in: place, condition, truth: `${test(circumstances)}` as const }],
    ),
  };
}

/** The last millisecond of the present answer: the first edge that is not yet past. A weekly window's is the end of the minute. */
function nextEdge(edges: readonly number[], byTheMinute: boolean, at: number): number | undefined {
  let next = byTheMinute && Number.isFinite(at) ? (Math.floor(at / MINUTE_MS) + 1) * MINUTE_MS - 1 : undefined;
  for (const edge of edges) if (edge >= at && (next === undefined || edge < next)) next = edge;
  return next;
}

function sameNames(known: Selection, { aliases, tags }: GrantRequest): boolean {
  const names = Object.keys(tags);
  return (
    known.aliases.length === aliases.length &&
    known.aliases.every((alias, index) => alias === aliases[index]) &&
    names.length === Object.keys(known.tags).length &&
    names.every((name) => Object.hasOwn(known.tags, name) && known.tags[name] === tags[name])
  );
}
