import { join } from 'node:path';
import type { Role } from '#contract';
import { SocketCustody } from '#custody/socket';
import {
  BoundRules,
  Credentials,
  dataHandlers,
  rewrapHandlers,
  secretUseHandlers,
  RuleWatch,
  Snapshots,
  systemClock,
  TombstoneWatch,
  watchHandlers,
} from '#core';
import { CasbinGrants, readModel } from '#grants';
import { createPlane, readPepper, untilThere } from '#http';
import { openDataPlaneStore } from '#persistence';
import {
  checkoutPath,
  countedRecords,
  createLogger,
  drainOnSignal,
  Health,
  loadConfig,
  planeMetrics,
  platformName,
  required,
  serverTls,
} from '#runtime';
import { controllers, title } from './controllers.js';
import { CountedPipeline } from './counted-pipeline.js';

/** The data-plane: the ISV's services put granted keys to work. */
const config = loadConfig('data-plane');
const log = createLogger('data-plane', { level: config.logLevel });
const pepper = readPepper(required(config.pepperFile, 'KEYWARD_PEPPER_FILE'));

const calls = { inFlight: 0 };
const settings = {
  url: required(config.databaseUrl, 'KEYWARD_DATABASE_URL'),
  applicationName: 'keyward data-plane',
  onConnectionError: (code: string) => log.warn({ code }, 'a database connection ended'),
  operationsInFlight: () => calls.inFlight,
};
const store = await untilThere(log, 'database', () => openDataPlaneStore(settings));
const custody = new SocketCustody({ socketPath: join(required(config.socketDir, 'KEYWARD_SOCKET_DIR'), 'data', 'data.sock') });
await untilThere(log, 'custody', () => custody.connect());

const health = new Health();
health.register('database', () => store.ping());
health.register('custody', () => custody.ping());
const metrics = planeMetrics(config, health);

const onBroken = (broken: object) => log.error(broken, 'binding broken: somebody wrote a rule past Keyward');
const rules = new BoundRules(store.rules, custody, { onBroken });
const { secrets } = store;
const counted = countedRecords(metrics?.metrics);
const [trail, changes] = [counted.trail(store.trail), counted.changes(store.changes)];
const grants = new CasbinGrants(readModel(checkoutPath('policies', 'model.conf')), (err, tenant) =>
  log.error({ err, tenant }, 'a rule failed closed'),
);
const credentials = new Credentials(rules, pepper, systemClock);
const platform = platformName(config.platformHost);
const serves = (role: Role) => role === 'service';
const parts = { snapshots: new Snapshots(rules, grants), credentials, trail, changes, clock: systemClock, platform, serves };
const watch = new RuleWatch(store.rules);
const handlers = {
  ...{ ...dataHandlers(custody), ...watchHandlers(watch, parts.snapshots), ...rewrapHandlers(store.rewraps) },
  ...secretUseHandlers({ custody, secrets, proofs: rules, grants }),
};
const pipeline = new CountedPipeline(parts, handlers, calls);

const { trustedProxies, audience } = config;
const tokens = { services: { audience } };
const app = await createPlane({
  ...{
    title,
    controllers,
    pipeline,
    uses: pipeline,
    credentials,
    tokens,
    trustedProxies,
    health,
    log,
    metrics,
    rateQuotas: store.rateQuotas,
  },
  tls: serverTls(config.tls),
});
const tombstones = new TombstoneWatch({
  ...{ reads: store.tombstones, custody },
  onFailure: (err) => log.error({ err }, 'tombstones could not be handed over; it goes on'),
});
drainOnSignal({
  logger: log,
  exitWithParent: config.exitWithParent,
  steps: [
    { name: 'readiness', run: () => health.startDraining() },
    { name: 'tombstones', run: () => tombstones.close() },
    { name: 'event streams', run: () => watch.close() },
    { name: 'http', run: () => app.close() },
    { name: 'custody', run: () => custody.close() },
    { name: 'database', run: () => store.close() },
  ],
});
tombstones.start();
await app.listen(config.listen);
log.info(config.listen, 'ready');
