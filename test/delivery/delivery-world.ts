import { sign } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SinkAnswer, SinkId, SinkTarget, TenantId } from '#contract';
import { type CheckpointSigner, newSinkId } from '#core';
import { Egress } from '#http';
import { type DataPlaneStore, openDataPlaneStore, openWorkerStore, type WorkerStore } from '#persistence';
import { composeNote, formatCheckpointBody, vkey } from '#trail';
import { CheckpointRounds } from '../../apps/worker/checkpoint-signer.js';
import { Buckets } from '../../apps/worker/delivery/bucket.js';
import { type DeliveryParts, DeliveryRounds } from '../../apps/worker/delivery/deliveries.js';
import { Syslog } from '../../apps/worker/delivery/syslog.js';
import { Webhooks } from '../../apps/worker/delivery/webhook.js';
import { Appender } from '../../libs/persistence/appender.js';
import { DatabaseSinkReads } from '../../libs/persistence/sink-reads.js';
import { openDatabase } from '../../libs/persistence/database.js';
import { anEntry, epochsOf, TestDatabase, type TestTenant } from '../../libs/persistence/test-database.js';
import { keyFrom } from '../../libs/trail/test/sample-log.js';

const quiet = { info: () => undefined, error: () => undefined };

interface SinkOptions {
  readonly plain?: Uint8Array;
  readonly nextSeq?: number;
  readonly state?: SinkAnswer['state'];
}

/** Logs of two tenants in a real database, signed as they grow, and workers that deliver from them. */
export class DeliveryWorld {
  readonly #plains = new Map<string, Uint8Array>();
  readonly #workers: { readonly rounds: DeliveryRounds; readonly store: WorkerStore }[] = [];
  readonly vkeys = new Map<string, string>();

  private constructor(
    readonly database: TestDatabase,
    private readonly tenants: ReadonlyMap<string, TestTenant>,
    private readonly data: DataPlaneStore,
    private readonly signing: WorkerStore,
    private readonly signer: CheckpointRounds,
    readonly reads: DatabaseSinkReads,
    private readonly close: () => Promise<void>,
  ) {}

  static async start(): Promise<DeliveryWorld> {
    const database = await TestDatabase.start();
    const tenants = await database.addTenants('platform', 'acme', 'globex');
    const vkeys = new Map<string, string>();
    for (const [name, { logId }] of tenants) {
      const origin = `keyward.test/audit/${logId}`;
      vkeys.set(name, vkey(origin, LOG_KEY.publicKey));
      await database.as('superuser', (client) =>
        client.query('UPDATE keyward.log SET origin = $2, vkey = $3 WHERE tenant_id = $1', [name, origin, vkeys.get(name)]),
      );
    }
    const data = await openDataPlaneStore(database.settings('keyward_data_plane'));
    const signing = await openWorkerStore(database.settings('keyward_worker'));
    const lists = await openDatabase(database.settings('keyward_key_plane'), 2);
    const rounds = new CheckpointRounds(signing.checkpoints, localSigner(), quiet);
    const close = async () => {
      await Promise.all([data.close(), signing.close(), lists.destroy()]);
      await database.stop();
    };
    const world = new DeliveryWorld(database, tenants, data, signing, rounds, new DatabaseSinkReads(lists), close);
    for (const [name, key] of vkeys) world.vkeys.set(name, key);
    return world;
  }

  /** A worker of its own, with its own connections. */
  async worker(allow: readonly string[], options: Partial<DeliveryParts> = {}): Promise<DeliveryRounds> {
    const store = await openWorkerStore(this.database.settings('keyward_worker'));
    const [web, syslog] = [new Egress({ allow }), new Egress({ allow, ports: [6514] })];
    const rounds = new DeliveryRounds({
      ...{ deliveries: store.deliveries, trail: store.trail, log: quiet, random: () => 0.5 },
      opening: { open: (_, id) => Promise.resolve(Uint8Array.from(this.#plains.get(id)!)) },
      senders: {
        webhook: new Webhooks(web),
        syslog: new Syslog(syslog, 'keyward.test'),
        s3: new Buckets(web, store.checkpoints, store.deliveries),
      },
      pausesMs: [50],
      ...options,
    });
    this.#workers.push({ rounds, store });
    return rounds;
  }

  /** Appends records, and signs them. */
  async grow(tenant: string, count: number): Promise<void> {
    await this.append(tenant, count);
    await this.sign();
  }

  async sign(): Promise<void> {
    await this.signer.round();
  }

  async append(tenant: string, count: number): Promise<void> {
    const owner = this.tenants.get(tenant)!;
    const epochs = await this.database.as('superuser', (client) => epochsOf(client, tenant));
    const entries = Array.from({ length: count }, () => anEntry(owner, epochs));
    await this.data.trail.appendAll(entries);
  }

  /** Says so in a signed record, and takes them away. */
  async prune(tenant: string, minIndex: number): Promise<void> {
    const owner = this.tenants.get(tenant)!;
    const epochs = await this.database.as('superuser', (client) => epochsOf(client, tenant));
    const appender = new Appender(this.database.settings('keyward_key_plane'));
    const entry = anEntry(owner, epochs, 'PruneRecords', { category: 'management', rw: 'write', change: { minIndex } });
    const { verdict } = await appender.append(entry).finally(() => appender.close());
    if (verdict !== 'durable') throw new Error(verdict);
    await this.sql('INSERT INTO keyward.log_retention (tenant_id, min_index) VALUES ($1, $2)', [tenant, minIndex]);
    await this.sql('SELECT keyward.prune_step()');
    await this.sign();
  }

  async addSink(tenant: string, target: SinkTarget, { plain, nextSeq = 0, state = 'Active' }: SinkOptions = {}): Promise<SinkId> {
    const id = newSinkId(Date.now());
    if (plain !== undefined) this.#plains.set(id, plain);
    await this.database.as('superuser', (client) =>
      client.query(
        `INSERT INTO keyward.sink (tenant_id, sink_id, description, target, sealed, state, created_by, created_at, next_seq, next_attempt_at)
          VALUES ($1, $2, '', $3, $4, $5, 'anna', now(), $6, now())`,
        [tenant, id, JSON.stringify(target), plain && 'sealed', state, nextSeq],
      ),
    );
    return id;
  }

  async sink(tenant: string, id: SinkId): Promise<SinkAnswer> {
    return (await this.reads.sink(tenant as TenantId, id))!;
  }

  async sql(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return await this.database.as('superuser', async (client) => (await client.query(text, [...values])).rows as Record<string, unknown>[]);
  }

  /** Rounds of these workers until it is so. @throws Error after a while */
  async until(is: () => boolean | Promise<boolean>, ...workers: readonly DeliveryRounds[]): Promise<void> {
    for (let tried = 0; tried < 600; tried++) {
      if (await is()) return;
      await Promise.all(workers.map((worker) => worker.round()));
      await sleep(25);
    }
    throw new Error(`not within the time: ${is.toString()}`);
  }

  /** All of them; each has connections of its own, and the server has a hundred. */
  async endWorkers(): Promise<void> {
    const workers = this.#workers.splice(0);
    await Promise.all(workers.map(({ rounds }) => rounds.close()));
    await Promise.all(workers.map(({ store }) => store.close()));
  }

  async stop(): Promise<void> {
    await this.endWorkers();
    await this.close();
  }
}

const LOG_KEY = keyFrom(7);
export const WEBHOOK_SEED = new Uint8Array(32).fill(9);
export const WEBHOOK_KEY = `whpk_${Buffer.from(keyFrom(9).publicKey).toString('base64')}`;

/** Signs what it is given: what the custodian refuses is not the question here. */
function localSigner(): CheckpointSigner {
  const sizes = new Map<string, bigint>();
  return {
    signedSize: (_tenant, logId) => Promise.resolve(sizes.get(logId) ?? 0n),
    signCheckpoint: (_tenant, { logId, origin }, { size, root }) => {
      sizes.set(logId, size);
      const body = formatCheckpointBody({ origin, size, root });
      return Promise.resolve(composeNote(body, origin, LOG_KEY.publicKey, sign(null, Buffer.from(body), LOG_KEY.privateKey)));
    },
  };
}
