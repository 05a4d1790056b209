import type {
  Alias,
  AuthMethod,
  EncryptionContext,
  GrantedOperation,
  Justification,
  KeyId,
  Lease,
  Limits,
  LintFinding,
  PolicyChange,
  PolicyDocument,
  PolicyText,
  RuleVerdict,
  StopId,
  StopTarget,
  TenantId,
  WorkerOperation,
} from '#contract';

export interface ActiveStop {
  readonly stopId: StopId;
  readonly target: StopTarget;
}

/** What one tenant's decisions rest on; compiled once a snapshot. */
export interface TenantPolicy {
  readonly tenant: TenantId;
  readonly document: PolicyDocument | undefined;
  readonly stops: readonly ActiveStop[];
  /** Rules that follow from what an admin published elsewhere. */
  readonly generated?: readonly GeneratedGrant[];
}

/** A grant that no document contains: for one caller, operation and key. */
export interface GeneratedGrant {
  /** No id of a document has a colon. */
  readonly id: string;
  readonly subject: string;
  readonly keyId: KeyId;
  readonly operation: WorkerOperation | GrantedOperation;
  /** In words. */
  readonly conditions: string;
}

/** An encryption context that is known by the digests of its pairs only, as a record tells it. */
export class RecordedContext {
  constructor(
    readonly size: number,
    /** Is this pair in it? */
    readonly has: (name: string, value: string) => boolean,
  ) {}
}

/** What is undefined is unknown: it never satisfies a grant's condition, and always meets a guardrail's. */
export interface GrantRequest {
  /** `svc:name`, `wl:cluster/name`, or `worker` and `admin`, whom only generated grants name. */
  readonly subject: string;
  readonly operation: GrantedOperation | WorkerOperation;
  /** undefined: the operation uses none (GenerateRandom), and only what means every key, `*`, means it. */
  readonly keyId: KeyId | undefined;
  /** The name of a secret: it is about that, and about no key. */
  readonly secret?: string | undefined;
  readonly aliases: readonly Alias[];
  readonly tags: Readonly<Record<string, string>>;
  /** undefined for an operation that has no context (Sign, MAC): never satisfies a condition on one, always meets a stop of one. */
  readonly context: EncryptionContext | RecordedContext | undefined;
  /** The server's clock, milliseconds. */
  readonly at: number;
  /** By the connection, or by a trusted proxy; IPv4-mapped IPv6 is IPv4. */
  readonly sourceAddress: string | undefined;
  readonly authMethod: AuthMethod | undefined;
  /** The caller's claim; null: the caller gave none. */
  readonly justification: Justification | null | undefined;
}

/** A grant that may allow only so many calls: the append counts them. */
export interface LimitedGrant {
  readonly ruleId: string;
  readonly limits: Limits;
  readonly lease?: Lease | undefined;
}

/**
 * Every rule that spoke, so that the pipeline can tell the caller little and the record everything.
 * Allowed = a grant, no guardrail, no stop.
 */
export interface GrantDecision {
  /** The first that allows without a limit, or else the first that allows. */
  readonly grant: string | undefined;
  /** Of `grant`, if it states one. */
  readonly lease?: Lease | undefined;
  /** If every grant that allows has a limit: all of them, in document order; the first with room pays. */
  readonly limited: readonly LimitedGrant[];
  readonly guardrail: string | undefined;
  readonly stop: StopId | undefined;
  /** Until when this answer holds if no rule changes, milliseconds; undefined = for good. */
  readonly validUntil: number | undefined;
}

export interface CompiledPolicy {
  /** Never throws: an exception inside a rule is a decision without a grant. */
  decide(request: GrantRequest): GrantDecision;
  /** Every grant and guardrail that names the request's subject, operation and key, and how each condition stood. Not on the hot path. */
  explain(request: GrantRequest): readonly RuleVerdict[];
  /** Could it be allowed if all that is unknown were favourable? Never false for what `decide` allows. */
  couldAllow(request: GrantRequest): boolean;
}

export interface GrantPolicy {
  compile(policy: TenantPolicy): CompiledPolicy;
}

export const NO_DECISION: GrantDecision = { grant: undefined, limited: [], guardrail: undefined, stop: undefined, validUntil: undefined };

/** For a plane that decides by roles alone. */
export const noGrants: GrantPolicy = {
  compile: () => ({ decide: () => NO_DECISION, explain: () => [], couldAllow: () => false }),
};

/** One caller, by name, that a grant names for a key or a secret. */
export interface WhoCan {
  readonly subject: string;
  readonly role: string | undefined;
  readonly operations: readonly GrantedOperation[];
  readonly grant: string;
  /** In words; empty: always. */
  readonly conditions: string;
  /** Guardrails and stops that take a part of it away, in words. What takes all of it away leaves no entry. */
  readonly except: readonly string[];
}

/** What people are told about a policy before and after they publish it. Pure: no clock, no database. */
export interface PolicyTools {
  /** `document` is undefined if a finding is an error. `services`: the ISV's catalogue, to find names that nobody has. */
  read(text: PolicyText, services: ReadonlySet<string> | undefined): { document: PolicyDocument | undefined; findings: LintFinding[] };
  lint(document: PolicyDocument, services: ReadonlySet<string> | undefined): LintFinding[];
  /** Lines `p, …` and `g, …` of policies/model.conf; `read` gives the same document back. */
  toCsv(document: PolicyDocument): string;
  /** One sentence a rule, in document order. */
  sentences(document: PolicyDocument): string[];
  /** Undefined: no policy. */
  diff(from: PolicyDocument | undefined, to: PolicyDocument | undefined): { change: PolicyChange; sentences: string[] };
  whoCan(policy: TenantPolicy, key: Pick<GrantRequest, 'keyId' | 'secret' | 'aliases' | 'tags'>): WhoCan[];
}
