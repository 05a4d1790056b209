import { type KeyVersionId, type OperationName, PLATFORM, type Role, type TenantId } from '#contract';
import { Batch, type BatchItem, type ItemOutcome } from './batch.js';
import type { Call } from './call.js';
import { overLimit, paidBy, paidFor } from './charges.js';
import type { Credentials } from './credentials.js';
import { type Decided, refusalByRole } from './decide.js';
import { asFailure, KeywardError, Refused, TrailUnavailable } from './errors.js';
import type { AnswerOf, InputOf } from './operation-shapes.js';
import type { Declined, Done, Handlers, Prepared, Step } from './handler.js';
import { logOf } from './log-of.js';
import { OPERATIONS } from './operation-table.js';
import { Permit } from './permit.js';
import type { Clock } from './ports/clock.js';
import type { LimitedGrant } from './ports/grants.js';
import type { Appended, Change, Changes, Counted, ReadCounter, Trail, TrailEntry } from './ports/trail.js';
import type { Principal } from './principal.js';
import { type Ending, type RecordDetails, recorded, toldElsewhere } from './record.js';
import { Snapshot, type Snapshots, StaleSnapshot, UNCHECKED } from './snapshot.js';

export type * from './handler.js';

/** A second stale verdict means a very busy admin: the caller may come back. */
const ATTEMPTS = 2;
/** Items of a batch that custody works on at once: one request must not keep everybody else's waiting. */
const ITEMS_AT_ONCE = 64;

export interface Answered<Operation extends OperationName> {
  readonly answer: AnswerOf<Operation>;
  /** The record's place in its log; undefined for a read that is recorded with others once the minute is over. */
  readonly seq: bigint | undefined;
  /** To be wiped when the response has finished. */
  readonly secret: Wipeable | undefined;
}

/** Bytes, or whatever stands for many. */
export interface Wipeable {
  fill(zero: 0): unknown;
}

export interface AnsweredBatch<Operation extends OperationName> {
  /** In the order of the items. */
  readonly items: readonly ItemOutcome<Operation>[];
  readonly secret: Wipeable;
}

/** What deciding and changing needs of the database. */
export interface Lane {
  readonly snapshots: Snapshots;
  readonly credentials: Credentials;
  readonly changes: Changes;
}

export interface PipelineParts extends Lane {
  readonly trail: Trail;
  /** The auditor's, for its own reads. */
  readonly readCounter?: ReadCounter;
  readonly clock: Clock;
  /** Whom this plane serves, of those who may call an operation that several planes have. Default: all. */
  readonly serves?: (role: Role) => boolean;
  /** What records say of who keeps them: `host/version+build`. */
  readonly platform?: string;
  /** Reserved for operations that stop: nothing else occupies its connections. Default: the lane of all. */
  readonly stopLane?: Lane | undefined;
}

/** Where one attempt takes place: whose rules, whose log, and the caller as of these rules. */
interface Scene {
  readonly target: Snapshot | undefined;
  readonly log: Snapshot;
  readonly principal: Principal;
}

/**
 * The one way to every key: snapshot → decide → permit → perform → append → answer. A result leaves only when its record is durable
 * under the rules that allowed it; if these changed meanwhile it is wiped, and the call is decided again, once.
 */
export class Pipeline<Names extends OperationName> {
  constructor(
    private readonly parts: PipelineParts,
    private readonly handlers: Handlers<Names>,
  ) {}

  /** @throws KeywardError, recorded (its `record` says where) unless it is `unauthenticated` or `unavailable` */
  async run<Operation extends Names>(operation: Operation, call: Call, input: InputOf<Operation>): Promise<Answered<Operation>> {
    return await this.#settle(operation, call, (scene) => this.#perform(operation, call, input, scene));
  }

  /** Records what the edge refused before `run`, input that is not valid, and throws it. @throws TrailUnavailable */
  async refuse(operation: Names, call: Call, error: KeywardError): Promise<never> {
    await this.#settle(operation, { ...call, refusedAtEdge: true }, () => Promise.resolve({ error, details: {} }));
    throw error;
  }

  /**
   * Items of one operation in one tenant: each is decided, permitted and fenced by itself, and one bad item fails alone. Only what a rule
   * change made stale is decided again.
   * @throws KeywardError for what concerns the call as a whole, and TrailUnavailable when it is not known what was recorded
   */
  async runBatch<Operation extends Names>(
    operation: Operation,
    call: Call,
    items: readonly BatchItem<Operation>[],
  ): Promise<AnsweredBatch<Operation>> {
    const wrongRole = this.#refusalByRole(operation, call.principal, call);
    if (wrongRole !== undefined) return await this.refuse(operation, call, wrongRole);
    const batch = new Batch(items);
    try {
      for (let attempt = 0; attempt < ATTEMPTS && batch.open.length > 0; attempt++) await this.#attempt(operation, call, batch);
      return { items: batch.closed(), secret: batch };
    } catch (error) {
      batch.fill(0);
      throw error;
    }
  }

  async #attempt<Operation extends Names>(operation: Operation, call: Call, batch: Batch<Operation>): Promise<void> {
    let scene: Scene;
    try {
      scene = await this.#scene(operation, call);
    } catch (error) {
      if (!(error instanceof StaleSnapshot)) throw error;
      return;
    }
    const now = () => this.parts.clock.now().getTime();
    const tried = await this.#tryItems(operation, call, scene, batch);
    await batch.record(
      tried,
      (groups) =>
        this.parts.trail.appendAll(
          groups.map((group) => ({ ...this.#entry(operation, call, scene, group, group.validUntil), charge: group.charge })),
        ),
      now(),
    );
    if (batch.open.length > 0) this.#forget(operation, scene);
  }

  async #tryItems<Operation extends Names>(operation: Operation, call: Call, scene: Scene, batch: Batch<Operation>) {
    const shared = { now: this.parts.clock.now().getTime(), decisions: new Map<string, Promise<Decided>>() };
    const tryItem = (index: number) => {
      const item = batch.items[index]!;
      const trying: Promise<Done<Operation>> =
        'error' in item ? Promise.resolve({ error: item.error, details: {} }) : this.#perform(operation, call, item.input, scene, shared);
      return trying.then((done) => batch.tried(index, done), unlessStale);
    };
    const { open } = batch;
    const tried = [];
    for (let at = 0; at < open.length; at += ITEMS_AT_ONCE) {
      const work = open.slice(at, at + ITEMS_AT_ONCE).map(tryItem);
      tried.push(...(await Promise.all(work)).flat());
    }
    return tried;
  }

  async #settle<Operation extends Names>(
    operation: Operation,
    call: Call,
    work: (scene: Scene) => Promise<Done<Operation>>,
  ): Promise<Answered<Operation>> {
    let discarded = 0;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      let scene: Scene | undefined;
      try {
        scene = await this.#scene(operation, call);
        const done = await work(scene);
        const { verdict, error, paid } = await this.#record(operation, call, scene, done, discarded);
        if (verdict.verdict === 'durable') return await this.#release(paid === undefined ? done : { ...done, ...paid }, error, verdict.seq);
        if (verdict.verdict === 'counted' && 'answer' in done) return { answer: done.answer, seq: undefined, secret: undefined };
        wipe(done);
        if ('answer' in done) discarded++;
      } catch (error) {
        if (!(error instanceof StaleSnapshot)) throw error;
      }
      this.#forget(operation, scene);
    }
    throw new TrailUnavailable('stale twice');
  }

  async #scene(operation: Names, call: Call): Promise<Scene> {
    const { snapshots, credentials } = this.#laneOf(operation);
    const { principal, tenant } = call;
    const row = OPERATIONS[operation];
    // People's calls are rare, and what they have just changed must count: read the rules anew, for those who may make the call.
    if (row.effect !== 'use' && refusalByRole(row, principal, call) === undefined) snapshots.forget(tenant);
    const target = await snapshots.of(tenant);
    const logTenant = logOf(operation, call, target);
    const log = logTenant === tenant ? target : await snapshots.of(logTenant);
    if (log === undefined) throw new TrailUnavailable('no log');
    const epoch = await this.#homeEpoch(snapshots, principal.tenant, log);
    const confirmed = await credentials.confirm(principal, epoch);
    if (confirmed.epoch !== epoch) {
      this.#forget(operation, { target, log, principal });
      throw new StaleSnapshot();
    }
    // Without custody nobody knows whether the rules are genuine. What only stops may go on: it opens nothing.
    const unproven = [target?.rules, log.rules, confirmed].some((part) => part?.unproven === true);
    if (unproven && row.rateClass !== 'stop') throw new KeywardError('unavailable', '', { reason: UNCHECKED });
    return { target, log, principal: confirmed };
  }

  #refusalByRole(operation: Names, principal: Principal, call: Call): KeywardError | undefined {
    const { role } = principal;
    if (this.parts.serves?.(role) === false) return new Refused('not-allowed', '', { reason: `role-${role}` });
    return refusalByRole(OPERATIONS[operation], principal, call);
  }

  #laneOf(operation: Names): Lane {
    const { stopLane } = this.parts;
    return stopLane !== undefined && OPERATIONS[operation].rateClass === 'stop' ? stopLane : this.parts;
  }

  /** The present epoch of the tenant to whom the caller belongs. */
  async #homeEpoch(snapshots: Snapshots, home: TenantId, log: Snapshot): Promise<string> {
    const { epochs, tenant } = log.rules;
    if (home === PLATFORM) return epochs.platform;
    if (home === tenant) return epochs.tenant;
    const snapshot = await snapshots.of(home);
    if (snapshot === undefined) throw new KeywardError('unauthenticated', '', { reason: 'unknown-tenant' });
    return snapshot.rules.epochs.tenant;
  }

  async #perform<Operation extends Names>(
    operation: Operation,
    call: Call,
    input: InputOf<Operation>,
    scene: Scene,
    shared: Pick<Step<Operation>, 'now' | 'decisions'> = { now: this.parts.clock.now().getTime() },
  ): Promise<Done<Operation>> {
    const { principal } = scene;
    const wrongRole = this.#refusalByRole(operation, principal, call);
    if (wrongRole !== undefined) return { error: wrongRole, details: {} };
    const left = scene.target?.rules.state === 'Ended';
    if (left && principal.role !== 'service' && OPERATIONS[operation].plane !== 'audit') return { error: tenantLeft(), details: {} };
    // To a service, a tenant that does not exist is one without keys, in every respect, and so is one that has left.
    const snapshot =
      (left && principal.role === 'service' ? undefined : scene.target) ?? Snapshot.ofNobody(call.tenant, scene.log.rules.services);
    const permit: Step<Operation>['permit'] = (terms = {}) => new Permit({ operation, tenant: call.tenant, ...terms });
    try {
      return await this.handlers[operation]({ operation, call, principal, input, snapshot, permit, ...shared });
    } catch (error) {
      if (error instanceof StaleSnapshot) throw error;
      return { error: asFailure(error), details: {} };
    }
  }

  /** The fence: the record becomes durable under the epochs of the scene, or not at all. */
  async #record<Operation extends Names>(
    operation: Operation,
    call: Call,
    scene: Scene,
    done: Done<Operation>,
    discarded: number,
  ): Promise<Recorded<AnswerOf<Operation>>> {
    const entry = (ending: Omit<Ending, 'discarded'>): TrailEntry =>
      this.#entry(operation, call, scene, { ...ending, discarded }, done.validUntil);
    const { trail, readCounter } = this.parts;
    try {
      if ('error' in done) return { verdict: await trail.append(entry(done)), error: done.error };
      if (done.charges !== undefined && done.charges.length > 0) return await this.#charge(entry, done, done.charges);
      const success = entry({ error: undefined, details: done.details });
      if (readCounter !== undefined && Object.keys(done.details).length === 0)
        return { verdict: await readCounter.count(success), error: undefined };
      if (done.apply === undefined) return { verdict: await trail.append(success), error: undefined };
      const told = done.tells === undefined ? undefined : await this.#told(operation, call, scene, done.tells, done.details);
      return { verdict: await this.#change(this.#laneOf(operation).changes, scene, success, done.apply, told), error: undefined };
    } catch (error) {
      wipe(done);
      // The writes themselves said no (it exists already, …): that is the call's outcome, and it is recorded.
      if (!(error instanceof KeywardError) || error.code === 'unavailable' || 'error' in done) throw error;
      return { verdict: await trail.append(entry({ error, details: done.details })), error };
    }
  }

  /** The first grant with room pays; when all are full, that is the call's outcome. */
  async #charge<Answer>(
    entry: (ending: Omit<Ending, 'discarded'>) => TrailEntry,
    done: Prepared<Answer>,
    charges: readonly LimitedGrant[],
  ): Promise<Recorded<Answer>> {
    const now = this.parts.clock.now().getTime();
    for (const charge of charges) {
      const paid = paidFor(done, charge, now);
      const verdict = await this.parts.trail.append({ ...entry({ error: undefined, details: paid.details }), charge });
      if (verdict.verdict !== 'over-limit') return { verdict, error: undefined, paid };
    }
    wipe(done);
    const error = overLimit(charges, now);
    return { verdict: await this.parts.trail.append(entry({ error, details: paidBy(done.details, charges[0]!.ruleId, 'deny') })), error };
  }

  #change(changes: Changes, { principal }: Scene, entry: TrailEntry, apply: Change['apply'], told: Change['told']): Promise<Appended> {
    const { tenant, credentialId } = principal;
    return changes.commit({ ...entry, credential: { tenant, credentialId }, apply, told });
  }

  /** A tenant's log begins with its admin's enrolment: before that it tells nothing. */
  async #told(operation: Names, call: Call, { principal }: Scene, tenant: TenantId, details: RecordDetails): Promise<Change['told']> {
    const log = await this.#laneOf(operation).snapshots.of(tenant);
    if (log?.rules.state !== 'Active') return undefined;
    const { clock, platform } = this.parts;
    const ending = { error: undefined, details, discarded: 0 };
    return { tenant, body: toldElsewhere(recorded(operation, call, principal, log, ending, clock.now().getTime(), platform)) };
  }

  #entry(operation: Names, call: Call, { log, principal }: Scene, ending: Ending, validUntil: number | undefined): TrailEntry {
    const { tenant, epochs } = log.rules;
    const until = Math.min(validUntil ?? Number.POSITIVE_INFINITY, principal.expiresAt.getTime());
    const { clock, platform } = this.parts;
    const recording = recorded(operation, call, principal, log, ending, clock.now().getTime(), platform);
    return { tenant, epochs, validUntil: new Date(until), ...recording };
  }

  async #release<Operation extends Names>(
    done: Done<Operation>,
    error: KeywardError | undefined,
    seq: bigint,
  ): Promise<Answered<Operation>> {
    if (error !== undefined) {
      error.record = seq;
      throw error;
    }
    if ('error' in done) throw done.error;
    const answer = done.completed === undefined ? done.answer : await done.completed(seq).catch(() => done.answer);
    return { answer, seq, secret: done.secret };
  }

  #forget(operation: Names, scene: Scene | undefined): void {
    const { snapshots } = this.#laneOf(operation);
    if (scene?.target !== undefined) snapshots.discard(scene.target);
    if (scene !== undefined) snapshots.discard(scene.log);
  }
}

/** What became of a call at the trail; `paid`: by whom, where a limited grant allowed it. */
interface Recorded<Answer> {
  readonly verdict: Appended | Counted;
  readonly error: KeywardError | undefined;
  readonly paid?: Pick<Prepared<Answer>, 'answer' | 'details'>;
}

const tenantLeft = () =>
  new Refused('not-allowed', 'The tenant has left: its log can be read, and nothing else done.', { reason: 'tenant-ended' });

/** An item whose rules changed under it is not done: it stays open. */
function unlessStale(error: unknown): [] {
  if (error instanceof StaleSnapshot) return [];
  throw error;
}

function wipe(done: Prepared<unknown> | Declined): void {
  if ('secret' in done) done.secret?.fill(0);
}

/** For one uploaded item, whose context it names: after the decision that the project's own rule allows it. */
export const movePermit = (tenant: TenantId, versionId: KeyVersionId, aad: Uint8Array): Permit<'ReEncryptTo'> =>
  new Permit({ operation: 'ReEncryptTo', tenant, versionId, aad });

/** Root creation is one of the five system operations (DESIGN, promise 1): the platform's own log key, before any operator exists. */
export const bootstrapPermit = (): Permit<'OnboardTenant'> => new Permit({ operation: 'OnboardTenant', tenant: PLATFORM });

/** The worker's, for a key whose rotation policy allows it (automatic-rotation.ts). */
export const rotationPermit = (tenant: TenantId, versionId: KeyVersionId): Permit<'CreateKeyVersion'> =>
  new Permit({ operation: 'CreateKeyVersion', tenant, versionId });

/** The worker's, for a secret whose rotation policy allows it (rotate-secret.ts). */
export const secretRotationPermit = <Operation extends 'GetSecretValue' | 'PutSecretValue' | 'UpdateSecretVersionLabels'>(
  operation: Operation,
  tenant: TenantId,
  versionId?: KeyVersionId,
): Permit<Operation> => new Permit({ operation, tenant, versionId });
