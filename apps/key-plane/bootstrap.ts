import { type KeyObject, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { SocketCustody } from '#custody/socket';
import { type IssuedCredential, PLATFORM, principalName, type RecordBody } from '#contract';
import { bootstrapPermit, issueCredential, newLogId, newRecordId, newRequestId, systemClock, vkeyOf } from '#core';
import { readPepper, untilThere } from '#http';
import { type KeyPlaneStore, openKeyPlaneStore } from '#persistence';
import { type Config, createLogger, loadConfig, required } from '#runtime';
import { CredentialsFile } from './credentials-file.js';

const OPERATOR = principalName.parse('operator');
const OPERATOR_DAYS = 366;

/** Makes the platform's own tenant, its log and its first operator; may be repeated, also by several at once. */
async function bootstrap(config: Config): Promise<void> {
  const credentials = new CredentialsFile(required(config.credentialsFile, 'KEYWARD_CREDENTIALS_FILE'));
  const pepper = readPepper(required(config.pepperFile, 'KEYWARD_PEPPER_FILE'));
  const url = required(config.databaseUrl, 'KEYWARD_DATABASE_URL');
  const log = createLogger('bootstrap', { level: config.logLevel });
  const store = await untilThere(log, 'database', () => openKeyPlaneStore({ url, applicationName: 'keyward bootstrap' }));
  try {
    if ((await store.rules.rules(PLATFORM)) === undefined) await makePlatform(config, store, pepper, credentials);
    // Also when it was an earlier run that committed, and then crashed.
    await credentials.settle(async (id) => (await store.rules.credential(PLATFORM, id)) !== undefined);
  } finally {
    await store.close();
  }
  process.stdout.write(`${credentials.path}\n`);
}

async function makePlatform(config: Config, store: KeyPlaneStore, pepper: KeyObject, credentials: CredentialsFile): Promise<void> {
  const now = systemClock.now().getTime();
  const order = { tenant: PLATFORM, principal: OPERATOR, role: 'operator' as const, days: OPERATOR_DAYS };
  const { log, operator, operatorCredential } = await withCustody(config, async (custody) => {
    const log = await newLog(config, custody, now);
    const { answer: operator, row: operatorCredential } = await issueCredential({ pepper, custody }, bootstrapPermit(), order, now);
    return { log, operator, operatorCredential };
  });
  credentials.writeAside(operator.credentialId, credentialsText(config, operator, log.vkey));
  const record = firstRecord(log, operator, now);
  const platform = { log, contextSalt: randomBytes(32), createdAt: new Date(now), operatorCredential, record };
  // Somebody else was first: what was written aside opens nothing.
  if (!(await store.bootstrap.bootstrapPlatform(platform))) credentials.discard(operator.credentialId);
}

async function newLog(
  { platformHost }: Config,
  custody: SocketCustody,
  now: number,
): Promise<{ logId: string; origin: string; vkey: string }> {
  const logId = newLogId(now);
  const origin = `${platformHost}/audit/${logId}`;
  const { publicKey } = await custody.createLogKey(bootstrapPermit(), 1);
  return { logId, origin, vkey: vkeyOf(origin, publicKey) };
}

/** Again from the beginning while there is no HSM: a custodian listens before it has one, and may lose it to another's first start. */
function withCustody<Answer>(config: Config, work: (custody: SocketCustody) => Promise<Answer>): Promise<Answer> {
  const socketPath = join(required(config.socketDir, 'KEYWARD_SOCKET_DIR'), 'key', 'key.sock');
  return untilThere(createLogger('bootstrap', { level: config.logLevel }), 'custody', async () => {
    const custody = new SocketCustody({ socketPath });
    try {
      await custody.connect();
      return await work(custody);
    } finally {
      await custody.close();
    }
  });
}

/** What the CLI reads. Of the planes only this one's address is known here. */
function credentialsText({ listen, tls }: Config, { apiKey, expiresAt }: IssuedCredential, vkey: string): string {
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  const keyPlane = `${tls.mode === 'none' ? 'http' : 'https'}://${host}:${listen.port}`;
  return `${JSON.stringify({ keyPlane, operator: { apiKey, expiresAt }, vkey }, null, 2)}\n`;
}

/** Record 0 of the platform's log: it names the first operator and the key that signs the log. */
function firstRecord({ logId, vkey }: { logId: string; vkey: string }, { credentialId }: IssuedCredential, now: number): RecordBody {
  return {
    ...{ v: 1, id: newRecordId(now), log: logId, time: new Date(now).toISOString(), durationUs: 0, phase: 'single' },
    ...{ op: 'IssueCredential', category: 'management', rw: 'write', outcome: 'succeeded' },
    actor: { type: 'operator', tenant: PLATFORM, principal: OPERATOR, credentialId, authMethod: 'api-key' },
    change: { principal: OPERATOR, role: 'operator', credentialId, vkey },
    request: { requestId: newRequestId(now) },
  };
}

await bootstrap(loadConfig('key-plane'));
