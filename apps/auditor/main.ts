import type { AuditOperation } from '#contract';
import { auditHandlers, Credentials, noChanges, noGrants, Pipeline, RecordCursors, Snapshots, systemClock } from '#core';
import { policyTools } from '#grants/tools';
import { createPlane, Egress, readPepper, untilThere } from '#http';
import { openAuditorStore } from '#persistence';
import { countedRecords, createLogger, drainOnSignal, Health, loadConfig, planeMetrics, platformName, required, serverTls } from '#runtime';
import { consistencyProofOf, encodeEntries, recordProofOf, writeBundle } from '#trail';
import { controllers, title } from './controllers.js';

/** A read is recorded when its minute is over, and within this. */
const RECORD_READS_MS = 5000;

/** The auditor: tenants' auditors read their logs. It has no way to any key, and none to a rule. */
const config = loadConfig('auditor');
const log = createLogger('auditor', { level: config.logLevel });
const pepper = readPepper(required(config.pepperFile, 'KEYWARD_PEPPER_FILE'));

const onConnectionError = (code: string) => log.warn({ code }, 'a database connection ended');
const url = required(config.databaseUrl, 'KEYWARD_DATABASE_URL');
const store = await untilThere(log, 'database', () => openAuditorStore({ url, applicationName: 'keyward auditor', onConnectionError }));

const health = new Health();
health.register('database', () => store.ping());
const metrics = planeMetrics(config, health);

const { rules, auditReads, readCounter } = store;
const trail = countedRecords(metrics?.metrics).trail(store.trail);
const credentials = new Credentials(rules, pepper, systemClock);
const platform = platformName(config.platformHost);
const parts = {
  snapshots: new Snapshots(rules, noGrants),
  credentials,
  trail,
  readCounter,
  changes: noChanges,
  clock: systemClock,
  platform,
};
const formats = { writeBundle, encodeEntries, recordProof: recordProofOf, consistencyProof: consistencyProofOf };
const pipeline = new Pipeline<AuditOperation>(
  parts,
  auditHandlers({ reads: auditReads, formats, tools: policyTools, cursors: new RecordCursors(pepper) }),
);
const readsRecorded = setInterval(() => void recordReads(), RECORD_READS_MS);

const { trustedProxies, egressAllow } = config;
const tokens = { people: { egress: new Egress({ allow: egressAllow }) } };
const app = await createPlane({
  ...{ title, controllers, pipeline, credentials, tokens, trustedProxies, health, log, metrics, rateQuotas: store.rateQuotas },
  tls: serverTls(config.tls),
});
drainOnSignal({
  logger: log,
  exitWithParent: config.exitWithParent,
  steps: [
    { name: 'readiness', run: () => health.startDraining() },
    { name: 'http', run: () => app.close() },
    { name: 'reads', run: () => clearInterval(readsRecorded) },
    { name: 'database', run: () => store.close() },
  ],
});
await app.listen(config.listen);
log.info(config.listen, 'ready');

/** What fails now is still counted, and recorded the next time. */
async function recordReads(): Promise<void> {
  try {
    await readCounter.recordReads();
  } catch (error) {
    log.warn({ err: error }, 'reads are counted, but could not be recorded yet');
  }
}
