import { unescape } from 'node:querystring';
import { isIP } from 'node:net';
import { z } from 'zod';

/** The processes that read their settings here; the custodian has its own reader. */
export type ProcessName = 'key-plane' | 'data-plane' | 'auditor' | 'worker' | 'cli';

const DEFAULT_PORTS = { 'key-plane': 7710, 'data-plane': 7720, auditor: 7730, worker: 7740, cli: 0 } satisfies Record<ProcessName, number>;

/** A setting is missing or wrong. The message names the variable, never its value: values may hold passwords. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

export interface ListenAddress {
  readonly host: string;
  /** 0 means any free port. */
  readonly port: number;
}

/** How connections are protected: by our own certificate, by a proxy in front, or not at all (loopback only). */
export type TlsMode =
  | { readonly mode: 'files'; readonly certFile: string; readonly keyFile: string }
  | { readonly mode: 'proxy' }
  | { readonly mode: 'none' };

export interface Config {
  readonly process: ProcessName;
  readonly listen: ListenAddress;
  readonly tls: TlsMode;
  /** libpq URL with the process's own role; absent for programs without a database. */
  readonly databaseUrl: string | undefined;
  /** Where the worker's queue is kept; absent: in the database. */
  readonly redisUrl: string | undefined;
  /** The password of the user in that URL, where it is not in it. */
  readonly redisPasswordFile: string | undefined;
  /** Directory with one sub-directory per plane, each holding the custodian's socket for that plane. */
  readonly socketDir: string | undefined;
  /** 32 bytes that key the digests of API keys. */
  readonly pepperFile: string | undefined;
  /** PEM: what the worker alone opens is sealed with its public key, which the key plane has. */
  readonly workerPublicKeyFile: string | undefined;
  readonly workerPrivateKeyFile: string | undefined;
  /** Directory of the embedded platform; the default is chosen in embedded/data-dir.ts. */
  readonly dataDir: string | undefined;
  /** Where the first operator's credential is written by bootstrap, and read by the CLI. */
  readonly credentialsFile: string | undefined;
  /** Host name in the origin line of every tenant's log. */
  readonly platformHost: string;
  /** What services name as `aud` when they sign their own tokens. */
  readonly audience: string;
  /** Networks of proxies whose word on the caller's address is taken. */
  readonly trustedProxies: readonly string[];
  /** `host:port` of tenants' identity providers and sinks that may be private, or plain http. */
  readonly egressAllow: readonly string[];
  /** What a scrape of `/metrics` presents; absent: nobody scrapes. */
  readonly metricsTokenFile: string | undefined;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** End when the parent process is gone: set by the embedded starter, so that its death leaves nothing behind. */
  readonly exitWithParent: boolean;
}

const text = z.string().min(1);
/** Several values by commas; nothing where the variable is empty. */
const listOf = (item: z.ZodType<string, string>) =>
  z
    .string()
    .default('')
    .transform((list) =>
      list
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .pipe(z.array(item));
const settings = z.object({
  KEYWARD_LISTEN: z
    .string()
    .regex(/^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+):\d{1,5}$/, 'must be host:port, with an IPv6 address in brackets')
    .optional(),
  KEYWARD_DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  // A query could say anything, such as not to check certificates.
  REDIS_PASSWORD_FILE: text.optional(),
  REDIS_URL: z
    .url({ protocol: /^rediss?$/, error: 'must be a URL such as rediss://host:6379/0' })
    .regex(/^[^?#]*$/, 'must have neither a query nor a fragment')
    .optional(),
  KEYWARD_SOCKET_DIR: text.max(80, 'is too long for a Unix socket path; at most 80 characters').optional(),
  KEYWARD_PEPPER_FILE: text.optional(),
  KEYWARD_WORKER_PUBLIC_KEY_FILE: text.optional(),
  KEYWARD_WORKER_PRIVATE_KEY_FILE: text.optional(),
  KEYWARD_DATA_DIR: text.optional(),
  KEYWARD_CREDENTIALS_FILE: text.optional(),
  KEYWARD_TLS_CERT_FILE: text.optional(),
  KEYWARD_TLS_KEY_FILE: text.optional(),
  KEYWARD_TLS: z.enum(['proxy']).optional(),
  KEYWARD_PLATFORM_HOST: z.hostname().default('keyward.local'),
  KEYWARD_AUDIENCE: text.max(256).optional(),
  KEYWARD_TRUSTED_PROXIES: listOf(
    z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], { error: 'must be addresses or networks such as 10.0.0.0/8, by commas' }),
  ),
  KEYWARD_EGRESS_ALLOW: listOf(z.string().regex(/^(\[[0-9A-Fa-f:.]+\]|[^:[\]/@]+):\d{1,5}$/, 'must be host:port, by commas')),
  KEYWARD_METRICS_TOKEN_FILE: text.optional(),
  KEYWARD_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  KEYWARD_EXIT_WITH_PARENT: z.enum(['0', '1']).default('0'),
});
type Settings = z.infer<typeof settings>;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads and checks the settings of one process; the only reader of `process.env` outside the custodian.
 * @param environment for tests; the default is the process's own
 * @throws ConfigurationError naming the variable
 */
export function loadConfig(name: ProcessName, environment: Environment = process.env): Config {
  const read = parse(settings, environment);
  const config: Config = {
    process: name,
    listen: listenAddress(read.KEYWARD_LISTEN, DEFAULT_PORTS[name]),
    tls: tlsMode(read),
    databaseUrl: read.KEYWARD_DATABASE_URL,
    redisUrl: read.REDIS_URL,
    redisPasswordFile: read.REDIS_PASSWORD_FILE,
    socketDir: read.KEYWARD_SOCKET_DIR,
    pepperFile: read.KEYWARD_PEPPER_FILE,
    workerPublicKeyFile: read.KEYWARD_WORKER_PUBLIC_KEY_FILE,
    workerPrivateKeyFile: read.KEYWARD_WORKER_PRIVATE_KEY_FILE,
    dataDir: read.KEYWARD_DATA_DIR,
    credentialsFile: read.KEYWARD_CREDENTIALS_FILE,
    platformHost: read.KEYWARD_PLATFORM_HOST,
    audience: read.KEYWARD_AUDIENCE ?? `keyward:${read.KEYWARD_PLATFORM_HOST}`,
    trustedProxies: read.KEYWARD_TRUSTED_PROXIES,
    egressAllow: read.KEYWARD_EGRESS_ALLOW,
    metricsTokenFile: read.KEYWARD_METRICS_TOKEN_FILE,
    logLevel: read.KEYWARD_LOG_LEVEL,
    exitWithParent: read.KEYWARD_EXIT_WITH_PARENT === '1',
  };
  refuseOpenTransport(config);
  return config;
}

/** The setting, or a ConfigurationError that names its variable: `required(config.databaseUrl, 'KEYWARD_DATABASE_URL')`. */
export function required<T>(value: T | undefined, variable: keyof Settings): T {
  if (value === undefined) throw new ConfigurationError(`${variable} must be set.`);
  return value;
}

const provisioning = z.object({ KEYWARD_SUPERUSER_URL: z.url({ protocol: /^postgres(ql)?$/ }), KEYWARD_ROLE_PASSWORDS_FILE: text });

export interface ProvisioningConfig {
  readonly superuserUrl: string;
  /** JSON, password by role; 0600. */
  readonly passwordsFile: string;
}

/** The settings of the program that creates roles and migrates. @throws ConfigurationError naming the variable */
export function loadProvisioningConfig(environment: Environment = process.env): ProvisioningConfig {
  const read = parse(provisioning, environment);
  refuseOpenDatabase(read.KEYWARD_SUPERUSER_URL, 'KEYWARD_SUPERUSER_URL');
  return { superuserUrl: read.KEYWARD_SUPERUSER_URL, passwordsFile: read.KEYWARD_ROLE_PASSWORDS_FILE };
}

const backing = z.object({
  KEYWARD_SUPERUSER_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  KEYWARD_ROLE_PASSWORDS_FILE: text.optional(),
});

/** The database that is backed up and restored; absent: the embedded one of a data directory. @throws ConfigurationError naming the variable */
export function loadBackupConfig(environment: Environment = process.env): Partial<ProvisioningConfig> {
  const { KEYWARD_SUPERUSER_URL: superuserUrl, KEYWARD_ROLE_PASSWORDS_FILE: passwordsFile } = parse(backing, environment);
  if (superuserUrl === undefined) return {};
  refuseOpenDatabase(superuserUrl, 'KEYWARD_SUPERUSER_URL');
  return { superuserUrl, ...(passwordsFile !== undefined && { passwordsFile }) };
}

/** Names of the settings that are set; never what to. */
export const settingsThatAreSet = (environment: Environment = process.env): readonly string[] =>
  Object.keys(environment)
    .filter((name) => /^(KEYWARD_|REDIS_|PG|SOFTHSM2_|NODE_)/.test(name))
    .sort();

/** What settings tell in secret: files that they name, of which some may be public, and passwords that stand in them. */
export function secretsInSettings(environment: Environment = process.env): {
  readonly files: readonly string[];
  readonly passwords: readonly string[];
} {
  const set = Object.entries(environment).map(([name, value = '']) => ({ name, value }));
  const inUrls = set.flatMap(({ value }) => (URL.canParse(value) ? [new URL(value).password] : []));
  return {
    files: set.filter(({ name }) => /^KEYWARD_\w+_FILE$/.test(name)).map(({ value }) => value),
    passwords: [environment['PGPASSWORD'] ?? '', ...inUrls, ...inUrls.map((password) => unescape(password))],
  };
}

const INHERITED = [
  ...['PATH', 'HOME', 'TMPDIR', 'TZ', 'LANG', 'KEYWARD_LOG_LEVEL'],
  ...['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'],
];

/** What child processes inherit: a short list, so that a secret in the starter's environment does not reach every plane. */
export function inheritedEnvironment(environment: Environment = process.env): Record<string, string> {
  const entries = INHERITED.map((variable) => [variable, environment[variable]] as const);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** The environment of a program that a person has us run for them: all of theirs, and more. */
export const environmentWith = (more: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries({ ...process.env, ...more }).filter((entry): entry is [string, string] => entry[1] !== undefined));

function parse<T>(schema: z.ZodType<T>, environment: Environment): T {
  const parsed = schema.safeParse(environment);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}.`);
  throw new ConfigurationError(lines.join(' '));
}

function listenAddress(value: string | undefined, defaultPort: number): ListenAddress {
  if (value === undefined) return { host: '127.0.0.1', port: defaultPort };
  const colon = value.lastIndexOf(':');
  const port = Number(value.slice(colon + 1));
  if (port > 65_535) throw new ConfigurationError('KEYWARD_LISTEN: the port must be at most 65535.');
  return { host: value.slice(0, colon).replace(/^\[|\]$/g, ''), port };
}

function tlsMode(read: Settings): TlsMode {
  const { KEYWARD_TLS_CERT_FILE: certFile, KEYWARD_TLS_KEY_FILE: keyFile } = read;
  if (certFile !== undefined && keyFile !== undefined) return { mode: 'files', certFile, keyFile };
  if (certFile !== undefined) throw new ConfigurationError('KEYWARD_TLS_KEY_FILE must be set beside KEYWARD_TLS_CERT_FILE.');
  if (keyFile !== undefined) throw new ConfigurationError('KEYWARD_TLS_CERT_FILE must be set beside KEYWARD_TLS_KEY_FILE.');
  return read.KEYWARD_TLS === 'proxy' ? { mode: 'proxy' } : { mode: 'none' };
}

/** Keys and credentials cross these connections: nobody on the network between may read or answer them. */
function refuseOpenTransport(config: Config): void {
  if (config.tls.mode === 'none' && !isLoopback(config.listen.host)) {
    throw new ConfigurationError(
      'KEYWARD_LISTEN is beyond loopback: set KEYWARD_TLS_CERT_FILE and KEYWARD_TLS_KEY_FILE, or KEYWARD_TLS=proxy behind a TLS proxy.',
    );
  }
  if (config.databaseUrl !== undefined) refuseOpenDatabase(config.databaseUrl, 'KEYWARD_DATABASE_URL');
  const redis = config.redisUrl === undefined ? undefined : new URL(config.redisUrl);
  if (redis?.protocol === 'redis:' && !isLoopback(redis.hostname))
    throw new ConfigurationError('REDIS_URL is beyond loopback: it must begin with rediss:.');
}

function refuseOpenDatabase(databaseUrl: string, variable: string): void {
  const url = new URL(databaseUrl);
  // pg lets `?host=` override the authority, so it must not point elsewhere than what is checked here.
  const hosts = [url.hostname, ...url.searchParams.getAll('host'), ...url.searchParams.getAll('hostaddr')];
  if (hosts.every(isLoopback) || url.searchParams.get('sslmode') === 'verify-full') return;
  throw new ConfigurationError(`${variable} is beyond loopback: it needs sslmode=verify-full.`);
}

/** True for addresses that no other host can reach; a name other than `localhost` is not trusted to resolve to one. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  if (bare === 'localhost' || bare === '::1') return true;
  return isIP(bare) === 4 && bare.startsWith('127.');
}
