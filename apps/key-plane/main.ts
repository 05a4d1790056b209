import { join } from 'node:path';
import { SocketCustody } from '#custody/socket';
import { type KeyOperation } from '#contract';
import { Credentials, keyHandlers, Pipeline, Snapshots, systemClock } from '#core';
import { CasbinGrants, readModel } from '#grants';
import { createPlane, readPepper, untilThere } from '#http';
import { openKeyPlaneStore } from '#persistence';
import { checkoutPath, createLogger, drainOnSignal, Health, loadConfig, required, serverTls } from '#runtime';
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

const { rules, trail, changes, reads } = store;
const grants = new CasbinGrants(readModel(checkoutPath('policies', 'model.conf')), (err, tenant) =>
  log.error({ err, tenant }, 'a rule failed closed'),
);
const credentials = new Credentials(rules, pepper, systemClock);
const parts = { snapshots: new Snapshots(rules, grants), credentials, trail, changes, clock: systemClock };
const handlers = keyHandlers({ custody, reads, pepper, platformHost: config.platformHost });
const pipeline = new Pipeline<KeyOperation>(parts, handlers);

const app = await createPlane({ title, controllers, pipeline, credentials, health, log, tls: serverTls(config.tls) });
drainOnSignal({
  logger: log,
  exitWithParent: config.exitWithParent,
  steps: [
    { name: 'readiness', run: () => health.startDraining() },
    { name: 'http', run: () => app.close() },
    { name: 'custody', run: () => custody.close() },
    { name: 'database', run: () => store.close() },
  ],
});
await app.listen(config.listen);
log.info(config.listen, 'ready');
