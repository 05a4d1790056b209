import { join } from 'node:path';
import { SocketCustody } from '#custody/socket';
import { BoundRules, Snapshots, TombstoneWatch } from '#core';
import { CasbinGrants, readModel } from '#grants';
import { createHealthServer, Egress, readOpening, untilThere } from '#http';
import { openWorkerStore } from '#persistence';
import { checkoutPath, createLogger, drainOnSignal, Health, loadConfig, planeMetrics, platformName, required, serverTls } from '#runtime';
import { CheckpointRounds } from './checkpoint-signer.js';
import { Buckets } from './delivery/bucket.js';
import { DeliveryRounds } from './delivery/deliveries.js';
import { Syslog } from './delivery/syslog.js';
import { Webhooks } from './delivery/webhook.js';
import { Engine, redisAt } from './jobs/engine.js';
import { Jobs } from './jobs/jobs.js';
import { jobKinds } from './jobs/kinds.js';
import { repeat } from './loop.js';
import { platformFigures } from './platform-figures.js';
import { targetProcess } from './targets/target-process.js';

/** Of syslog over TLS (RFC 5425). */
const SYSLOG_PORT = 6514;

/** The worker: what nobody asks for and everybody relies on. Checkpoints, deliveries, and what is done by the clock (jobs/kinds.ts). */
const config = loadConfig('worker');
const log = createLogger('worker', { level: config.logLevel });

const onConnectionError = (code: string) => log.warn({ code }, 'a database connection ended');
const url = required(config.databaseUrl, 'KEYWARD_DATABASE_URL');
const store = await untilThere(log, 'database', () => openWorkerStore({ url, applicationName: 'keyward worker', onConnectionError }));
const custody = new SocketCustody({ socketPath: join(required(config.socketDir, 'KEYWARD_SOCKET_DIR'), 'worker', 'worker.sock') });
await untilThere(log, 'custody', () => custody.connect());

const health = new Health();
health.register('database', () => store.ping());
health.register('custody', () => custody.ping());

const stop = new AbortController();
const rounds = new CheckpointRounds(store.checkpoints, custody, log);
const tombstones = new TombstoneWatch({
  ...{ reads: store.tombstones, custody },
  onFailure: (err) => log.error({ err }, 'tombstones could not be handed over; it goes on'),
});
const [web, syslog] = [new Egress({ allow: config.egressAllow }), new Egress({ allow: config.egressAllow, ports: [SYSLOG_PORT] })];
const deliveries = new DeliveryRounds({
  ...{ deliveries: store.deliveries, trail: store.trail, log },
  opening: await readOpening(required(config.workerPrivateKeyFile, 'KEYWARD_WORKER_PRIVATE_KEY_FILE')),
  senders: {
    webhook: new Webhooks(web),
    syslog: new Syslog(syslog, config.platformHost),
    s3: new Buckets(web, store.checkpoints, store.deliveries),
  },
});
const grants = new CasbinGrants(readModel(checkoutPath('policies', 'model.conf')), (err, tenant) =>
  log.error({ err, tenant }, 'a rule failed closed'),
);
const rules = new BoundRules(store.rules, custody, {
  onBroken: (broken) => log.error(broken, 'binding broken: somebody wrote a rule past Keyward'),
});
const snapshots = new Snapshots(rules, grants);
const kinds = jobKinds({
  store,
  custody,
  grants,
  snapshots,
  ...{ proofs: rules, runTurn: targetProcess({ allow: config.egressAllow }) },
  platform: platformName(config.platformHost),
});
const jobs = new Jobs({ kinds, ledger: store.jobs, log });
const at = config.redisUrl === undefined ? { databaseUrl: url } : redisAt(config.redisUrl, config.redisPasswordFile);
const engine = await untilThere(log, 'queue', () => Engine.start({ at, run: (job) => jobs.run(job), log }));
health.register('queue', () => engine.ping());
const metrics = planeMetrics(config, health);
if (metrics !== undefined) platformFigures(metrics.metrics, store.figures);
const app = await createHealthServer({ title: 'Keyward worker', health, log, tls: serverTls(config.tls), metrics });
await app.listen(config.listen);
log.info(config.listen, 'ready');
tombstones.start();
// Apart: whatever receivers and jobs do, checkpoints do not wait.
const loops = [() => rounds.round(), () => jobs.look(engine), () => deliveries.round()].map((round) => repeat(round, log, stop.signal));

drainOnSignal({
  logger: log,
  exitWithParent: config.exitWithParent,
  steps: [
    { name: 'readiness', run: () => health.startDraining() },
    {
      name: 'rounds',
      run: async () => {
        stop.abort();
        await Promise.all([...loops, deliveries.close(), engine.close()]);
      },
    },
    { name: 'tombstones', run: () => tombstones.close() },
    { name: 'http', run: () => app.close() },
    { name: 'custody', run: () => custody.close() },
    { name: 'database', run: () => store.close() },
  ],
});
