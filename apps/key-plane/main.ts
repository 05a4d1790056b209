import { join } from 'node:path';
import { SocketCustody } from '#custody/socket';
import type { KeyOperation, Role, SecretUse } from '#contract';
import {
  BoundRules,
  type Changes,
  Credentials,
  keyHandlers,
  OperationWatch,
  Pipeline,
  RestoreCheck,
  type RuleStore,
  Snapshots,
  StopSeals,
  systemClock,
  TombstoneWatch,
} from '#core';
import { CasbinGrants, policyTools, readModel } from '#grants';
import { createPlane, Egress, readPepper, readSealing, untilThere } from '#http';
import { openKeyPlaneStore } from '#persistence';
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

/** The key-plane: admins and operators, keys and rules. */
const config = loadConfig('key-plane');
const log = createLogger('key-plane', { level: config.logLevel });
const pepper = readPepper(required(config.pepperFile, 'KEYWARD_PEPPER_FILE'));

const onConnectionError = (code: string) => log.warn({ code }, 'a database connection ended');
const url = required(config.databaseUrl, 'KEYWARD_DATABASE_URL');
const store = await untilThere(log, 'database', () => openKeyPlaneStore({ url, applicationName: 'keyward key-plane', onConnectionError }));
const custody = new SocketCustody({ socketPath: join(required(config.socketDir, 'KEYWARD_SOCKET_DIR'), 'key', 'key.sock') });
await untilThere(log, 'custody', () => custody.connect());

const health = new Health();
health.register('database', () => store.ping());
health.register('custody', () => custody.ping());
const metrics = planeMetrics(config, health);

const grants = new CasbinGrants(readModel(checkoutPath('policies', 'model.conf')), (err, tenant) =>
  log.error({ err, tenant }, 'a rule failed closed'),
);
/** How long custody may take to check rules: a plane that hangs is of no use; a stop needs no custody, and does not wait for it. */
const PATIENCE_MS = { ordinary: 1000, stops: 50 };
const lane = (unchecked: RuleStore, changes: Changes, patienceMs: number) => {
  const onBroken = (broken: object) => log.error(broken, 'binding broken: somebody wrote a rule past Keyward');
  const rules = new BoundRules(unchecked, custody, { onBroken, patienceMs });
  return { rules, snapshots: new Snapshots(rules, grants), credentials: new Credentials(rules, pepper, systemClock), changes };
};
const counted = countedRecords(metrics?.metrics);
const ordinary = lane(store.rules, counted.changes(store.changes), PATIENCE_MS.ordinary);
const stopLane = lane(store.stops.rules, counted.changes(store.stops.changes), PATIENCE_MS.stops);
const { rules, credentials } = ordinary;
const trail = counted.trail(store.trail);
const { reads, uses, operations, secrets } = store;
const watch = new OperationWatch();
const seals = new StopSeals(store.seals, (err) => log.warn({ err }, 'the binding of a stop has to wait'));
const { platformHost } = config;
const sinks = { reads: store.sinks, sealing: await readSealing(required(config.workerPublicKeyFile, 'KEYWARD_WORKER_PUBLIC_KEY_FILE')) };
const handlers = keyHandlers({
  ...{ custody, rules, reads, uses, operations, secrets, watch, grants, tools: policyTools, seals, sinks, pepper, platformHost },
});
const platform = platformName(platformHost);
const serves = (role: Role) => role !== 'service';
const pipeline = new Pipeline<KeyOperation | SecretUse>({ ...ordinary, trail, clock: systemClock, stopLane, platform, serves }, handlers);

const { trustedProxies, egressAllow } = config;
const tokens = { people: { egress: new Egress({ allow: egressAllow }) } };
const app = await createPlane({
  ...{ title, controllers, pipeline, credentials, tokens, trustedProxies, health, log, metrics, rateQuotas: store.rateQuotas },
  tls: serverTls(config.tls),
});
const restores = new RestoreCheck({
  ...{ store: store.restores, custody, clock: systemClock },
  onRestored: (found) => log.error(found, 'the database or the token went back (docs/keys.md)'),
  onFailure: (err) => log.error({ err }, 'whether something went back could not be looked at; it goes on'),
});
await untilThere(log, 'restore check', () => restores.round());
restores.start();
const tombstones = new TombstoneWatch({
  ...{ reads: store.tombstones, custody },
  onFailure: (err) => log.error({ err }, 'tombstones could not be handed over; it goes on'),
});
drainOnSignal({
  logger: log,
  exitWithParent: config.exitWithParent,
  steps: [
    { name: 'readiness', run: () => health.startDraining() },
    { name: 'restore check', run: () => restores.close() },
    { name: 'tombstones', run: () => tombstones.close() },
    { name: 'event streams', run: () => watch.close() },
    { name: 'http', run: () => app.close() },
    { name: 'seals', run: () => seals.close() },
    { name: 'custody', run: () => custody.close() },
    { name: 'database', run: () => store.close() },
  ],
});
tombstones.start();
await app.listen(config.listen);
log.info(config.listen, 'ready');
