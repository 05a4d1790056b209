import type pg from 'pg';
import type {
  AuditReads,
  BindingRotationStore,
  Changes,
  Checkpoints,
  Deliveries,
  DueSecretMove,
  Endings,
  EndingLogKeys,
  EpochReads,
  ExpiryWarnings,
  FigureReads,
  IdleLogs,
  JobAlerts,
  JobLedger,
  KeyRotationStore,
  KeyWear,
  UploadStore,
  LogPruning,
  MovedItems,
  OffBoardings,
  OperationReads,
  RateQuotaReads,
  Reads,
  Rewraps,
  RestoreStore,
  RootRotationStore,
  RuleStore,
  Seals,
  SecretPurges,
  SecretRotations,
  SecretReads,
  SecretStore,
  SinkReads,
  TombstoneReads,
  Trail,
  TrailMonths,
  UseReads,
} from '#core';
import { Appender, type AppenderOptions } from './appender.js';
import { DatabaseAuditReads } from './audit-reads.js';
import { PlatformBootstrap } from './bootstrap.js';
import { DatabaseBindings } from './binding-store.js';
import { TransactionalChanges } from './changes.js';
import { DatabaseCheckpoints } from './checkpoint-store.js';
import { DatabaseLogKeys } from './log-keys.js';
import { type DatabaseSettings, openReadPool, RESERVED } from './connection.js';
import { openDatabase } from './database.js';
import { DatabaseDeliveries } from './delivery-store.js';
import { reading } from './database-error.js';
import { DatabaseEndings, DatabaseTombstones } from './ending-store.js';
import { DatabaseJobLedger } from './job-ledger.js';
import { DatabaseFigures } from './figures.js';
import { DatabaseNotices } from './notices.js';
import { DatabaseReads } from './lists.js';
import { DatabaseOffBoardings } from './off-boardings.js';
import { DatabaseOperationReads } from './operation-reads.js';
import { DatabaseKeyRotations } from './key-rotation-store.js';
import { DatabaseUploads } from './upload-store.js';
import { DatabaseRateQuotas } from './quotas.js';
import { DatabaseReadCounter } from './read-counter.js';
import { DatabaseRestores } from './restore-store.js';
import { DatabaseRewraps } from './rewrap-store.js';
import { DatabaseSecretMoves } from './secret-moves.js';
import { DatabaseRoots } from './root-store.js';
import { DatabasePruning } from './retention.js';
import { DatabaseRules } from './rule-store.js';
import { DatabaseSeals } from './seals.js';
import { DatabaseSecretPurges } from './secret-purges.js';
import { DatabaseSecretReads } from './secret-reads.js';
import { DatabaseSecrets } from './secret-store.js';
import { DatabaseSecretRotations } from './secret-rotation-store.js';
import { DatabaseSinkReads } from './sink-reads.js';
import { checkStartup, type Startup } from './startup.js';
import { DatabaseUseReads } from './use-reads.js';

/** Connections of each pool: the database's work a call is short, and waiting in a pool is cheaper than a busy database. */
const POOL = { rules: 4, changes: 4, lists: 4, values: 2, worker: 3, jobs: 4, deliveries: 4 } as const;

/** Of the data plane, whose calls are many and short: a third one gained nothing. */
const BATCHES_ON_THEIR_WAY = 2;

/** What every process has of its database. */
interface Store {
  readonly startup: Startup;
  /** Answers when the database does. @throws KeywardError unavailable */
  ping(): Promise<void>;
  close(): Promise<void>;
}

interface DeciderStore extends Store {
  readonly rules: RuleStore;
  readonly trail: Trail;
  readonly rateQuotas: RateQuotaReads;
}

/** Of processes that have a custodian. */
interface TombstoneStore {
  readonly tombstones: TombstoneReads;
}

export interface KeyPlaneStore extends DeciderStore, TombstoneStore {
  readonly changes: Changes;
  /** Connections for what must never wait for another call, whatever the others do. */
  readonly stops: { readonly rules: RuleStore; readonly changes: Changes };
  readonly seals: Seals;
  readonly reads: Reads;
  readonly uses: UseReads;
  readonly sinks: SinkReads;
  readonly secrets: SecretReads;
  readonly operations: OperationReads;
  readonly restores: RestoreStore;
  readonly bootstrap: PlatformBootstrap;
}
export interface DataPlaneStore extends DeciderStore, TombstoneStore {
  readonly rules: RuleStore & EpochReads;
  readonly rewraps: Rewraps;
  readonly secrets: SecretStore;
  /** Of secrets' values. */
  readonly changes: Changes;
}
export interface AuditorStore extends DeciderStore {
  readonly auditReads: AuditReads;
  readonly readCounter: DatabaseReadCounter;
}
export interface WorkerStore extends Store, TombstoneStore {
  /** What decides whether a key may be rotated. */
  readonly rules: RuleStore;
  readonly rotations: KeyRotationStore;
  readonly uploads: UploadStore;
  readonly secretMoves: MovedItems<DueSecretMove>;
  readonly secrets: SecretStore;
  readonly secretRotations: SecretRotations;
  readonly endings: Endings;
  readonly purges: SecretPurges;
  readonly roots: RootRotationStore;
  readonly bindings: BindingRotationStore;
  readonly offBoardings: OffBoardings;
  readonly checkpoints: Checkpoints & TrailMonths;
  readonly idle: IdleLogs;
  readonly deliveries: Deliveries;
  /** For heartbeats, and what the worker does of itself. */
  readonly logKeys: EndingLogKeys;
  readonly pruning: LogPruning;
  readonly jobs: JobLedger;
  /** What tenants hear of what is done by the clock. */
  readonly notices: JobAlerts & ExpiryWarnings & KeyWear;
  /** For heartbeats. */
  readonly trail: Trail;
  readonly figures: FigureReads;
}

/** The key plane's database. @throws KeywardError unavailable when it is not there or not fit (startup.ts) */
export async function openKeyPlaneStore(settings: AppenderOptions): Promise<KeyPlaneStore> {
  const { pool, startup } = await fitPool(settings, POOL.rules);
  const [changes, lists, stops] = await reading(() =>
    Promise.all([openDatabase(settings, POOL.changes), openDatabase(settings, POOL.lists), openDatabase(settings, RESERVED)]),
  );
  const stopRules = openReadPool(settings, RESERVED);
  await ping(stopRules);
  const trail = new Appender(settings);
  return {
    ...{ startup, trail, rules: new DatabaseRules(pool), changes: new TransactionalChanges(changes) },
    stops: { rules: new DatabaseRules(stopRules), changes: new TransactionalChanges(stops) },
    rateQuotas: new DatabaseRateQuotas(pool),
    tombstones: new DatabaseTombstones(pool),
    restores: new DatabaseRestores(pool),
    ...{ seals: new DatabaseSeals(changes), bootstrap: new PlatformBootstrap(changes) },
    ...{ reads: new DatabaseReads(lists), uses: new DatabaseUseReads(lists), sinks: new DatabaseSinkReads(lists) },
    operations: new DatabaseOperationReads(lists),
    secrets: new DatabaseSecretReads(pool, lists),
    ping: () => bothAnswer(pool, trail),
    close: () => closed(trail.close(), pool.end(), stopRules.end(), changes.destroy(), lists.destroy(), stops.destroy()),
  };
}

/** The data plane's database: functions only, no table. @throws KeywardError unavailable */
export async function openDataPlaneStore(settings: AppenderOptions): Promise<DataPlaneStore> {
  const { pool, startup } = await fitPool(settings, POOL.rules);
  const changes = await reading(() => openDatabase(settings, POOL.values));
  const trail = new Appender({ ...settings, connections: BATCHES_ON_THEIR_WAY });
  return {
    startup,
    trail,
    rules: new DatabaseRules(pool),
    rateQuotas: new DatabaseRateQuotas(pool),
    changes: new TransactionalChanges(changes),
    secrets: new DatabaseSecrets(pool),
    rewraps: new DatabaseRewraps(pool),
    tombstones: new DatabaseTombstones(pool),
    ping: () => bothAnswer(pool, trail),
    close: () => closed(trail.close(), pool.end(), changes.destroy()),
  };
}

/** The auditor's database: it reads the trail, and records that it did. @throws KeywardError unavailable */
export async function openAuditorStore(settings: AppenderOptions): Promise<AuditorStore> {
  const { pool, startup } = await fitPool(settings, POOL.rules);
  const lists = await reading(() => openDatabase(settings, POOL.lists));
  const trail = new Appender(settings);
  return {
    ...{ startup, trail, rules: new DatabaseRules(pool), auditReads: new DatabaseAuditReads(lists) },
    ...{ readCounter: new DatabaseReadCounter(pool), rateQuotas: new DatabaseRateQuotas(pool) },
    ping: () => bothAnswer(pool, trail),
    close: () => closed(trail.close(), pool.end(), lists.destroy()),
  };
}

/** The worker's database: checkpoints, heartbeats and deliveries. @throws KeywardError unavailable */
export async function openWorkerStore(settings: DatabaseSettings): Promise<WorkerStore> {
  const { pool, startup } = await fitPool(settings, POOL.worker);
  // Connections of their own: however much is delivered, or due, checkpoints do not wait.
  const [deliveries, jobs] = [openReadPool(settings, POOL.deliveries), openReadPool(settings, POOL.jobs)];
  const trail = new Appender(settings);
  return {
    startup,
    ...{ checkpoints: new DatabaseCheckpoints(pool), idle: new DatabaseCheckpoints(jobs), jobs: new DatabaseJobLedger(jobs) },
    deliveries: new DatabaseDeliveries(deliveries),
    ...{ endings: new DatabaseEndings(jobs), purges: new DatabaseSecretPurges(jobs) },
    roots: new DatabaseRoots(jobs),
    ...{ bindings: new DatabaseBindings(jobs), offBoardings: new DatabaseOffBoardings(jobs) },
    ...{ rules: new DatabaseRules(jobs), rotations: new DatabaseKeyRotations(jobs) },
    ...{ uploads: new DatabaseUploads(jobs), secretMoves: new DatabaseSecretMoves(jobs) },
    tombstones: new DatabaseTombstones(pool),
    secrets: new DatabaseSecrets(jobs),
    secretRotations: new DatabaseSecretRotations(jobs),
    logKeys: new DatabaseLogKeys(jobs),
    pruning: new DatabasePruning(jobs),
    notices: new DatabaseNotices(jobs),
    figures: new DatabaseFigures(jobs),
    trail,
    ping: () => bothAnswer(pool, trail),
    close: () => closed(trail.close(), pool.end(), deliveries.end(), jobs.end()),
  };
}

/** A plane is ready when it can read rules and append records: the appender has a connection of its own. */
async function bothAnswer(pool: pg.Pool, trail: Appender): Promise<void> {
  trail.mustBeConnected();
  await ping(pool);
}

async function fitPool(settings: DatabaseSettings, size: number): Promise<{ pool: pg.Pool; startup: Startup }> {
  const pool = openReadPool(settings, size);
  try {
    return { pool, startup: await checkStartup(pool) };
  } catch (error) {
    await pool.end();
    throw error;
  }
}

async function ping(pool: pg.Pool): Promise<void> {
  await reading(() => pool.query('SELECT 1'));
}

async function closed(...endings: readonly Promise<void>[]): Promise<void> {
  await Promise.all(endings);
}
