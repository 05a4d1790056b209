import { type Enforcer, FunctionMap } from 'casbin';
import type { StopId, TenantId } from '#contract';
import { BoundedMap, type CompiledPolicy, type GrantDecision, type GrantRequest, type TenantPolicy } from '#core';
import { type Circumstances, possiblyHolds, surelyHolds } from './conditions.js';
import { enforcerOver, type Row } from './enforcer.js';
import { DocumentRoles } from './roles.js';
import { type Rule, rulesOf } from './rules.js';
import { type KeyNames, objectIn, operationIn } from './selectors.js';

/** Combinations of subject, operation and key remembered a policy, and enforcers: many keys behind one alias prefix share one. */
const SELECTIONS_KEPT = 1024;
const ENFORCERS_KEPT = 128;

const NO_GRANT: GrantDecision = Object.freeze({ grant: undefined, guardrail: undefined, stop: undefined, validUntil: undefined });

/** The rules that can matter to one subject, operation and key, whatever the circumstances. */
interface Selection {
  readonly aliases: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly enforcer: Enforcer;
  readonly edges: readonly number[];
}

/** The model's `r.ctx`: what conditions look at, and the first rule of each kind that spoke. */
interface Hearing extends Circumstances {
  grant: string | undefined;
  guardrail: string | undefined;
  stop: StopId | undefined;
}

/** One tenant's rules as of one snapshot. Only its bounded memory of selections changes, and that only saves time. */
export class CasbinPolicy implements CompiledPolicy {
  readonly #tenant: TenantId;
  readonly #rules: readonly Rule[];
  readonly #roles: DocumentRoles;
  readonly #functions: FunctionMap;
  readonly #selections = new BoundedMap<string, Selection>(SELECTIONS_KEPT);
  readonly #enforcers = new BoundedMap<string, Enforcer>(ENFORCERS_KEPT);

  constructor(
    policy: TenantPolicy,
    private readonly modelText: string,
    private readonly onFault: (error: unknown, tenant: TenantId) => void,
  ) {
    this.#tenant = policy.tenant;
    this.#rules = rulesOf(policy);
    this.#roles = new DocumentRoles(policy.tenant, policy.document?.roles ?? {});
    this.#functions = functionsOver(this.#rules, new Map(policy.stops.map(({ stopId }) => [stopId, stopId])));
  }

  decide(request: GrantRequest): GrantDecision {
    try {
      return this.#decide(request);
    } catch (error) {
      return this.#failClosed(error);
    }
  }

  #decide(request: GrantRequest): GrantDecision {
    const { subject, operation, context, at } = request;
    // A caller whose name reads like a role or like "everyone" must never be matched as one.
    if (!subject.startsWith('svc:') && !subject.startsWith('wl:')) throw new Error('A subject is svc:name or wl:cluster/name.');
    const { enforcer, edges } = this.#selectionFor(request);
    const hearing: Hearing = { context, at, grant: undefined, guardrail: undefined, stop: undefined };
    // `unknown` and `=== true`: a promise or any other truthy answer is no yes.
    const verdict: unknown = enforcer.enforceSync(subject, this.#tenant, request, operation, hearing);
    const { grant, guardrail, stop } = hearing;
    if ((verdict === true) !== (grant !== undefined && guardrail === undefined && stop === undefined))
      throw new Error('Casbin and the rules that it noted disagree.');
    return { grant, guardrail, stop, validUntil: nextEdge(edges, at) };
  }

  #failClosed(error: unknown): GrantDecision {
    try {
      this.onFault(error, this.#tenant);
    } catch {
      // The hook only counts; a decision does not depend on it, and decide() never throws.
    }
    return NO_GRANT;
  }

  #selectionFor(request: GrantRequest): Selection {
    const name = `${request.subject}\n${request.operation}\n${request.keyId}`;
    const known = this.#selections.get(name);
    return known !== undefined && sameNames(known, request) ? known : this.#selections.set(name, this.#select(request));
  }

  #select(request: GrantRequest): Selection {
    const rows: Row[] = [];
    const edges: number[] = [];
    for (const rule of this.#rules) {
      const row = this.#rowFor(rule, request);
      if (row === undefined) continue;
      rows.push(row);
      edges.push(...rule.conditions.edges);
    }
    const text = JSON.stringify(rows);
    const enforcer =
      this.#enforcers.get(text) ?? this.#enforcers.set(text, enforcerOver(rows, this.modelText, this.#functions, this.#roles));
    return { aliases: [...request.aliases], tags: { ...request.tags }, enforcer, edges };
  }

  /** One row a rule is enough: its conditions are the same whichever of its subjects, objects and operations is meant. */
  #rowFor(rule: Rule, request: GrantRequest): Row | undefined {
    const sub = rule.subjects.find((pattern) => this.#subjectIn(request.subject, pattern, rule.effect));
    const obj = rule.objects.find((pattern) => objectIn(request, pattern));
    const act = rule.operations.find((pattern) => operationIn(request.operation, pattern));
    if (sub === undefined || obj === undefined || act === undefined) return undefined;
    return [rule.id, sub, this.#tenant, obj, act, rule.conditionsId, rule.effect];
  }

  /** `*` means everyone in guardrails and stops only. */
  #subjectIn(subject: string, pattern: string, effect: Rule['effect']): boolean {
    return (effect === 'deny' && pattern === '*') || this.#roles.syncedHasLink(subject, pattern, this.#tenant);
  }
}

/** All that the model's matcher can call: synchronous, pure but for `note`, and booleans. */
function functionsOver(rules: readonly Rule[], stops: ReadonlyMap<string, StopId>): FunctionMap {
  const conditions = new Map(rules.map((rule) => [rule.conditionsId, rule.conditions]));
  const functions = new FunctionMap();
  functions.addFunction('actIn', (operation: string, pattern: string) => operationIn(operation, pattern));
  functions.addFunction('objIn', (key: KeyNames, pattern: string) => objectIn(key, pattern));
  functions.addFunction('holds', (id: string, effect: string, circumstances: Circumstances) => {
    const compiled = conditions.get(id);
    if (compiled === undefined) throw new Error(`No conditions are called ${id}.`);
    return effect === 'allow' ? surelyHolds(compiled, circumstances) : possiblyHolds(compiled, circumstances);
  });
  functions.addFunction('note', (hearing: Hearing, id: string, effect: string) => {
    const stop = stops.get(id);
    if (effect === 'allow') hearing.grant ??= id;
    else if (stop !== undefined) hearing.stop ??= stop;
    else hearing.guardrail ??= id;
    return true;
  });
  return functions;
}

/** The last millisecond of the present answer: the first edge that is not yet past. */
function nextEdge(edges: readonly number[], at: number): number | undefined {
  let next: number | undefined;
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
