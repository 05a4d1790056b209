import { join } from 'node:path';
import { SocketCustody } from '#custody/socket';
import { TombstoneWatch } from '#core';
import { createHealthServer, Egress, readOpening, untilThere } from '#http';
import { openWorkerStore } from '#persistence';
import { createLogger, drainOnSignal, Health, loadConfig, platformName, required, serverTls } from '#runtime';
import { CheckpointRounds } from './checkpoint-signer.js';
import { Buckets } from './delivery/bucket.js';
import { DeliveryRounds } from './delivery/deliveries.js';
import { Syslog } from './delivery/syslog.js';
import { Webhooks } from './delivery/webhook.js';
import { Destructions } from './destructions.js';
import { Heartbeats } from './heartbeats.js';
import { LogKeyEndings } from './log-key-endings.js';
import { repeat } from './loop.js';
import { RootRotations } from './root-rotations.js';
import { Months } from './months.js';
import { Pruning } from './pruning.js';

/** Of syslog over TLS (RFC 5425). */
const SYSLOG_PORT = 6514;

/** The worker: what nobody asks for and everybody relies on. Checkpoints, heartbeats, the trail's months, the ends of log keys, what admins scheduled, deliveries. */
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
const platform = platformName(config.platformHost);
const heartbeats = new Heartbeats({ logs: store.idle, trail: store.trail, lead: store.checkpoints, platform });
const logKeys = new LogKeyEndings({ keys: store.logKeys, custody, lead: store.checkpoints, platform });
const months = new Months(store.checkpoints);
const pruning = new Pruning(store.pruning, store.checkpoints);
const destructions = new Destructions({
  ...{ endings: store.endings, custody, lead: store.checkpoints, platform },
  onFailure: (err, about) => log.error({ err, ...about }, 'a key could not be ended'),
});
const rotations = new RootRotations({
  ...{ roots: store.roots, custody, lead: store.checkpoints },
  onFailure: (err, about) => log.error({ err, ...about }, 'a root could not be rotated further'),
});
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
const app = await createHealthServer({ title: 'Keyward worker', health, log, tls: serverTls(config.tls) });
await app.listen(config.listen);
log.info(config.listen, 'ready');
const round = async () => {
  await rounds.round();
  await heartbeats.round();
  await logKeys.round();
  await months.round();
  await pruning.round();
  await destructions.round();
  await rotations.round();
};
tombstones.start();
// Apart: whatever receivers do, checkpoints do not wait.
const loops = [repeat(round, log, stop.signal), repeat(() => deliveries.round(), log, stop.signal)];

drainOnSignal({
  logger: log,
  exitWithParent: config.exitWithParent,
  steps: [
    { name: 'readiness', run: () => health.startDraining() },
    {
      name: 'rounds',
      run: async () => {
        stop.abort();
        await Promise.all([...loops, deliveries.close()]);
      },
    },
    { name: 'tombstones', run: () => tombstones.close() },
    { name: 'http', run: () => app.close() },
    { name: 'custody', run: () => custody.close() },
    { name: 'database', run: () => store.close() },
  ],
});
