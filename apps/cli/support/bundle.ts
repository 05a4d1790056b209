import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { asBackupSuperuser, describeDatabase, inDatabase } from '#persistence/backup';
import { checkoutPath, settingsThatAreSet } from '#runtime';
import { scrubbed } from './scrub.js';

const LAST_LINES = 300;
const PLANES = { keyPlane: 7710, dataPlane: 7720, auditor: 7730, worker: 7740 };
const PATIENCE_MS = 3000;

export interface BundleSource {
  readonly dataDir: string;
  readonly superuserUrl: string;
  /** Where the planes are, if not where they are by default. */
  readonly planes: Readonly<Partial<Record<keyof typeof PLANES, string>>>;
}

/** JSON for whoever helps: versions, which settings are set (not what to), the database's shape, readiness, and the ends of the logs, scrubbed. */
export async function supportBundle({ dataDir, superuserUrl, planes }: BundleSource): Promise<string> {
  const asked = Object.entries(PLANES).map(async ([name, port]) => [
    name,
    await readiness(planes[name as keyof typeof PLANES] ?? `http://127.0.0.1:${port}`),
  ]);
  const bundle = {
    madeAt: new Date().toISOString(),
    keyward: versionOf(readFileSync(checkoutPath('package.json'), 'utf8')),
    host: { node: process.version, platform: `${platform()}-${arch()}`, kernel: release(), processors: cpus().length, memory: totalmem() },
    settings: settingsThatAreSet(),
    ready: Object.fromEntries(await Promise.all(asked)) as object,
    database: await asBackupSuperuser(inDatabase(superuserUrl), describeDatabase).catch((error: unknown) => ({ away: messageOf(error) })),
    logs: Object.fromEntries(logsIn(join(dataDir, 'logs'))),
  };
  return JSON.stringify(bundle, (_, value: unknown) => (typeof value === 'string' ? scrubbed(value) : value), 1);
}

async function readiness(url: string): Promise<unknown> {
  try {
    const answer = await fetch(new URL('/readyz', url), { signal: AbortSignal.timeout(PATIENCE_MS) });
    return await answer.json();
  } catch (error) {
    return { away: messageOf(error) };
  }
}

function logsIn(folder: string): [name: string, lines: readonly string[]][] {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.log')) : [];
  return names.map((name) => [name, readFileSync(join(folder, name), 'utf8').trimEnd().split('\n').slice(-LAST_LINES)]);
}

const versionOf = (text: string): unknown => (JSON.parse(text) as { version?: unknown }).version;
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown');
