import { createSecretKey, randomBytes } from 'node:crypto';
import {
  type Alias,
  type CredentialId,
  type DataOperation,
  GRANTED_OPERATIONS,
  type KeyDescription,
  type KeyId,
  type KeyOperation,
  type KeyState,
  PLATFORM,
  type RecordBody,
  type LongOperationId,
  type ReEncryptRequest,
  type RewrapAnswer,
  type RewrapPageAnswer,
  type RewrapPageRequest,
  type Role,
  type SecretUse,
  type ServiceOperation,
  type StopTarget,
  type TenantId,
} from '#contract';
import {
  type AnswerOf,
  BoundRules,
  Credentials,
  dataHandlers,
  type Due,
  finishRewrap,
  type GrantDecision,
  type GrantRequest,
  type InputOf,
  type KeyPlaneParts,
  keyHandlers,
  KeywardError,
  newCredentialId,
  newStopId,
  Permit,
  Pipeline,
  OperationWatch,
  reEncrypt,
  rewrapHandlers,
  rewrapPage,
  secretUseHandlers,
  type RotationParts,
  type RunTurn,
  type SecretRotationParts,
  Snapshots,
  stopRow,
  systemClock,
  type TargetTurn,
  type Trail,
  type TrailEntry,
  type DueSecretMove,
  type MoveParts,
} from '#core';
import {
  type DataPlaneStore,
  type KeyPlaneStore,
  openDataPlaneStore,
  openKeyPlaneStore,
  openWorkerStore,
  type WorkerStore,
} from '#persistence';
import { type DestructionParts, destroyKeys, signReceipts } from '../../apps/worker/destructions.js';
import { CasbinGrants, policyTools, readModel } from '#grants';
import { rotateKeys } from '../../apps/worker/key-rotations.js';
import { moveSecrets, moveUploadedItems } from '../../apps/worker/uploads.js';
import { rotateSecrets } from '../../apps/worker/secret-rotations.js';
import { perform } from '../../apps/worker/targets/perform.js';
import { MAC, TestDatabase } from '../../libs/persistence/test-database.js';
import { FakeCustody } from '../../libs/testing/fake-custody.js';
import { round } from './round.js';

const DAY_MS = 86_400_000;
const casbin = new CasbinGrants(readModel('policies/model.conf'));
export const ACME = 'acme' as TenantId;
export const GLOBEX = 'globex' as TenantId;
type RewrapOperation = Exclude<ServiceOperation, 'WatchRules'>;
const GRANTED = { grant: 'all', limited: [], guardrail: undefined, stop: undefined, validUntil: undefined };

/** Both planes' pipelines over a real database and a custody in memory; every service is granted everything. */
export class KeyWorld {
  readonly custody = new FakeCustody();
  /** How far the key plane's clock is from the right time: keys that are made then are old now. */
  offsetMs = 0;
  /** Of whoever calls. */
  credentialsLastMs = 3_600_000;
  readonly clock = { now: () => new Date(Date.now() + this.offsetMs) };
  readonly records: RecordBody[] = [];
  /** Two replicas, each with what it remembers. */
  readonly keys: readonly [Pipeline<KeyOperation | SecretUse>, Pipeline<KeyOperation | SecretUse>];
  readonly uses: Pipeline<DataOperation | SecretUse | RewrapOperation>;
  /** Every record of a use comes under rules that have changed. */
  fencedOff = false;
  /** What the tenant's rules say beside that everything is granted. */
  ruling: (request: GrantRequest) => Partial<GrantDecision> = () => ({});

  private constructor(
    readonly database: TestDatabase,
    readonly store: KeyPlaneStore,
    readonly data: DataPlaneStore,
    readonly worker: WorkerStore,
    private readonly credentialIds: ReadonlyMap<string, CredentialId>,
  ) {
    const { custody } = this;
    const decide = (request: GrantRequest): GrantDecision => ({ ...GRANTED, ...this.ruling(request) });
    const couldAllow = (request: GrantRequest) => {
      const { grant, guardrail, stop } = decide(request);
      return grant !== undefined && guardrail === undefined && stop === undefined;
    };
    const grants = { compile: () => ({ decide, explain: () => [], couldAllow }) };
    const pepper = createSecretKey(randomBytes(32));
    const append = async (entry: Pick<TrailEntry, 'body'>, to: () => ReturnType<KeyPlaneStore['trail']['append']>) => {
      const verdict = await to();
      if (verdict.verdict === 'durable') this.records.push(entry.body);
      return verdict;
    };
    const lane = ({ rules, changes }: Pick<KeyPlaneStore, 'rules' | 'changes'>) => ({
      snapshots: new Snapshots(new BoundRules(rules, custody), grants),
      credentials: new Credentials(rules, pepper, systemClock),
      clock: this.clock,
      changes: {
        commit: (change: Parameters<KeyPlaneStore['changes']['commit']>[0]) => append(change, () => changes.commit(change)),
      },
    });
    // What a tenant's keys do not need is not there.
    const parts = {
      custody,
      reads: store.reads,
      uses: store.uses,
      operations: store.operations,
      watch: new OperationWatch(),
      // Credentials of this world were made by SQL, and are bound by nothing.
      rules: Object.assign(new BoundRules(store.rules, custody), { credential: store.rules.credential.bind(store.rules) }),
      secrets: store.secrets,
      pepper,
      grants: casbin,
      tools: policyTools,
      sinks: { reads: store.sinks, sealing: { seal: () => Promise.resolve('sealed') } },
    } as unknown as KeyPlaneParts;
    const trailOf = (trail: Trail): Trail => {
      const one = async (entry: TrailEntry) =>
        this.fencedOff ? { verdict: 'stale' as const } : await append(entry, () => trail.append(entry));
      return { append: one, appendAll: (entries) => Promise.all(entries.map(one)) };
    };
    const keyPlane = () => new Pipeline({ ...lane(store), trail: trailOf(store.trail) }, keyHandlers(parts));
    this.keys = [keyPlane(), keyPlane()];
    this.uses = new Pipeline(
      { ...lane(data), trail: trailOf(data.trail) },
      {
        ...dataHandlers(custody),
        ...rewrapHandlers(data.rewraps),
        ...secretUseHandlers({ custody, grants: casbin, secrets: data.secrets, proofs: new BoundRules(data.rules, custody) }),
      },
    );
  }

  /** `env`: of the database's server. */
  static async start(env?: Readonly<Record<string, string>>): Promise<KeyWorld> {
    const database = await TestDatabase.start(undefined, env);
    const tenants = await database.addTenants(PLATFORM, ACME, GLOBEX);
    const services = { billing: newCredentialId(Date.now()), search: newCredentialId(Date.now()) };
    const operator = newCredentialId(Date.now());
    await database.as('superuser', async (client) => {
      const operations = `{${GRANTED_OPERATIONS.join(',')}}`;
      const credential = (id: CredentialId, name: string, role: Role) =>
        client.query(
          `INSERT INTO keyward.credential (tenant_id, credential_id, principal, role, auth_method, mac, created_at, expires_at, binding_mac)
            VALUES ('platform', $1, $2, $3, 'api-key', ${MAC}, now(), now() + interval '1 day', ${MAC})`,
          [id, name, role],
        );
      for (const [name, id] of Object.entries(services)) {
        await client.query(`INSERT INTO keyward.service VALUES ('platform', $1, '', $2, false, now())`, [name, operations]);
        await credential(id, name, 'service');
      }
      await credential(operator, 'root', 'operator');
    });
    const store = await openKeyPlaneStore(database.settings('keyward_key_plane'));
    const data = await openDataPlaneStore(database.settings('keyward_data_plane'));
    const ids = new Map<string, CredentialId>([
      ...[...tenants].map(([name, { credentialId }]) => [name, credentialId] as const),
      ...Object.entries(services),
      ['operator', operator],
    ]);
    const worker = await openWorkerStore(database.settings('keyward_worker'));
    const world = new KeyWorld(database, store, data, worker, ids);
    for (const tenant of [ACME, GLOBEX]) world.custody.onboard(tenant);
    return world;
  }

  async stop(): Promise<void> {
    await Promise.all([this.store.close(), this.data.close(), this.worker.close()]);
    await this.database.stop();
  }

  /** As an admin of the tenant. */
  async admin<Operation extends KeyOperation | SecretUse>(
    operation: Operation,
    input: InputOf<Operation>,
    tenant: TenantId = ACME,
    replica: 0 | 1 = 0,
  ): Promise<AnswerOf<Operation>> {
    return (await this.keys[replica].run(operation, this.#call('admin', tenant, tenant, 'anna'), input)).answer;
  }

  /** As an operator; an operation that takes nothing is given nothing. */
  async operator<Operation extends KeyOperation>(
    operation: Operation,
    ...[input]: undefined extends InputOf<Operation> ? [] : [InputOf<Operation>]
  ): Promise<AnswerOf<Operation>> {
    const call = this.#call('operator', PLATFORM, PLATFORM, 'root');
    return (await this.keys[0].run(operation, call, input)).answer;
  }

  /** As the service billing, or another one. */
  async service<Operation extends DataOperation | SecretUse | RewrapOperation>(
    operation: Operation,
    input: InputOf<Operation>,
    name = 'billing',
    tenant: TenantId = ACME,
  ): Promise<AnswerOf<Operation>> {
    return (await this.uses.run(operation, this.#call('service', tenant, PLATFORM, name), input)).answer;
  }

  /** As the service billing, or another one. */
  async rewrapPage(id: LongOperationId, request: RewrapPageRequest, name = 'billing', tenant: TenantId = ACME): Promise<RewrapPageAnswer> {
    return (await rewrapPage(this.uses, this.#call('service', tenant, PLATFORM, name), id, request)).answer;
  }

  /** As the service billing, or another one. */
  async finishRewrap(id: LongOperationId, acknowledge?: string, name = 'billing', tenant: TenantId = ACME): Promise<RewrapAnswer> {
    return (await finishRewrap(this.uses, this.#call('service', tenant, PLATFORM, name), id, { acknowledge })).answer;
  }

  /** As the service billing. */
  async serviceBatch<Operation extends DataOperation | SecretUse>(operation: Operation, inputs: readonly InputOf<Operation>[]) {
    const items = inputs.map((input) => ({ input }));
    return (await this.uses.runBatch(operation, this.#call('service', ACME, PLATFORM, 'billing'), items)).items;
  }

  /** As the service billing. */
  async reEncrypt(request: ReEncryptRequest): Promise<AnswerOf<'ReEncryptTo'>> {
    return (await reEncrypt(this.uses, this.#call('service', ACME, PLATFORM, 'billing'), request)).answer;
  }

  async create(input: Partial<InputOf<'CreateKey'>> = {}, tenant: TenantId = ACME): Promise<KeyDescription> {
    const asked = { keySpec: 'AES_256', origin: 'KEYWARD', description: '', ...input } as const;
    return await this.admin('CreateKey', asked, tenant);
  }

  /** A worker that has seen what is due, on the custody of this world unless told otherwise. */
  destructions({ onFailure = rethrow, ...given }: Partial<DestructionParts> & { readonly onFailure?: (error: unknown) => void } = {}) {
    const parts = { endings: this.worker.endings, custody: this.custody, seenDueForMs: 0, ...given };
    const kinds = [destroyKeys(parts), signReceipts(parts)];
    return { round: () => round(kinds, onFailure) };
  }

  /** A worker that rotates keys, on the custody of this world unless told otherwise. */
  keyRotations({
    onFailure = rethrow,
    ...given
  }: Partial<RotationParts> & { readonly apartMs?: number; readonly onFailure?: (error: unknown, of?: Due) => void } = {}) {
    const { rules, rotations } = this.worker;
    const snapshots = new Snapshots(new BoundRules(rules, this.custody), casbin);
    const kinds = rotateKeys({ snapshots, grants: casbin, custody: this.custody, rotations, apartMs: 0, ...given });
    return { round: () => round(kinds, onFailure) };
  }

  /** A worker that moves uploaded items, on the custody of this world unless told otherwise. */
  uploads({ onFailure = rethrow, ...given }: Partial<MoveParts> & { readonly onFailure?: (error: unknown) => void } = {}) {
    return { round: () => round([moveUploadedItems({ ...this.#moving(), items: this.worker.uploads, ...given })], onFailure) };
  }

  /** A worker that moves the data keys of secrets, as `uploads`. */
  secretMoves({
    onFailure = rethrow,
    ...given
  }: Partial<MoveParts<DueSecretMove>> & { readonly onFailure?: (error: unknown) => void } = {}) {
    return { round: () => round([moveSecrets({ ...this.#moving(), items: this.worker.secretMoves, ...given })], onFailure) };
  }

  #moving() {
    const snapshots = new Snapshots(new BoundRules(this.worker.rules, this.custody), casbin);
    return { snapshots, grants: casbin, custody: this.custody };
  }

  /** A worker that rotates secrets, on the custody of this world and with targets in this process unless told otherwise. */
  secretRotations({
    onFailure = rethrow,
    allow = [],
    ...given
  }: Partial<SecretRotationParts> & { readonly allow?: readonly string[]; readonly onFailure?: (error: unknown) => void } = {}) {
    const { rules, secrets, secretRotations: rotations, trail } = this.worker;
    const proofs = new BoundRules(rules, this.custody);
    const parts = { snapshots: new Snapshots(proofs, casbin), grants: casbin, custody: this.custody, proofs, secrets, rotations, trail };
    const runTurn: RunTurn = (request) => this.turn(allow, request);
    return { round: () => round([rotateSecrets({ ...parts, runTurn, ...given })], onFailure) };
  }

  /** As it arrives in a process of its own: what is wiped there is not wiped here. */
  turn(allow: readonly string[], request: TargetTurn): ReturnType<RunTurn> {
    return perform({ allow: [...allow], timeLimitMs: 10_000, request: structuredClone(request) });
  }

  /** A key that is so old, with a rotation policy. */
  async rotating(daysOld: number, intervalDays: number, tenant: TenantId = ACME): Promise<KeyDescription> {
    this.offsetMs = -daysOld * DAY_MS;
    const key = await this.create({}, tenant).finally(() => {
      this.offsetMs = 0;
    });
    await this.admin('PutKeyRotation', { keyId: key.keyId, enabled: true, intervalDays, replaces: 0 }, tenant);
    return key;
  }

  /** By hand: a stop, bound as if an admin had made it, until it is taken away. */
  async stopped(target: StopTarget, tenant: TenantId = ACME): Promise<{ lift(): Promise<void> }> {
    const stop = { stopId: newStopId(Date.now()), target, stoppedBy: 'anna', stoppedAt: new Date().toISOString() };
    const mac = Buffer.from(await this.custody.bindRule(new Permit({ operation: 'Stop', tenant }), stopRow(tenant, stop)));
    const run = (text: string, values: unknown[]) => this.database.as('superuser', (client) => client.query(text, values));
    await run(
      `INSERT INTO keyward.stop (tenant_id, stop_id, target, reason, stopped_by, stopped_at, mac) VALUES ($1, $2, $3, '', 'anna', $4, $5)`,
      [tenant, stop.stopId, target, stop.stoppedAt, mac],
    );
    return { lift: async () => void (await run('DELETE FROM keyward.stop WHERE stop_id = $1', [stop.stopId])) };
  }

  /** By hand: a wait of days is over. */
  async endWait(keyId: KeyId): Promise<void> {
    await this.database.as('superuser', (client) =>
      client.query(`UPDATE keyward.cmk SET deletion_at = now() - interval '1 second' WHERE key_id = $1`, [keyId]),
    );
  }

  /** By hand: no call leads to some of these states. */
  async putInto(state: KeyState, keyId: KeyId): Promise<void> {
    const wait = state === 'PendingDeletion' ? `now() + interval '9 days', state_before = 'Disabled'` : 'NULL, state_before = NULL';
    const ended = state === 'Destroyed' ? 'now()' : 'NULL';
    await this.database.as('superuser', (client) =>
      client.query(`UPDATE keyward.cmk SET state = $1, deletion_at = ${wait}, destroyed_at = ${ended} WHERE key_id = $2`, [state, keyId]),
    );
  }

  /** Everything that is stored of a key. */
  async rowsOf(keyId: KeyId): Promise<unknown> {
    const { rows } = await this.database.as('superuser', (client) =>
      client.query(
        `SELECT to_json(k) AS cmk,
            (SELECT json_agg(to_json(a) ORDER BY a.alias) FROM keyward.alias a WHERE a.key_id = k.key_id) AS aliases,
            (SELECT json_agg(to_json(v) ORDER BY v.version_id) FROM keyward.key_version v WHERE v.key_id = k.key_id) AS versions
          FROM keyward.cmk k WHERE k.key_id = $1`,
        [keyId],
      ),
    );
    return rows[0];
  }

  #call(role: Role, tenant: TenantId, home: TenantId, name: string) {
    const credentialId = this.credentialIds.get(role === 'service' ? name : role === 'operator' ? role : home)!;
    const expiresAt = new Date(Date.now() + this.credentialsLastMs);
    const principal = { role, tenant: home, name, credentialId, authMethod: 'api-key' as const, expiresAt, epoch: '' };
    return { principal, tenant, sourceAddress: undefined, requestId: 'req_1', startedAt: Date.now() };
  }
}

function rethrow(error: unknown): void {
  throw error;
}

/** How it was refused. */
export async function refusal(work: Promise<unknown>): Promise<KeywardError> {
  const outcome = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(outcome instanceof KeywardError)) throw new Error('It was not refused.', { cause: outcome });
  return outcome;
}

let names = 0;
/** One that nobody has. */
export const freshAlias = (): Alias => `alias/test-${++names}` as Alias;
