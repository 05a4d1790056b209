import pg from 'pg';

export interface DatabaseSettings {
  /** `postgres://role:password@host:port/keyward`, with `sslmode=verify-full` beyond loopback. Holds a password: never log it. */
  readonly url: string;
  /** Shown in pg_stat_activity; the name of the process. */
  readonly applicationName: string;
  /** For a driver's error outside any query: only its code may be logged. */
  readonly onConnectionError?: ((code: string) => void) | undefined;
}

const CONNECT_TIMEOUT_MS = 2000;
/** A statement that is not answered in this time is given up, and its connection with it. */
export const ANSWER_TIMEOUT_MS = 5000;

/** Options of every connection. JavaScript never parses int8: callers ask for text and make a bigint of it. */
export const connectionOptions = ({ url, applicationName }: DatabaseSettings) => ({
  connectionString: url,
  application_name: applicationName,
  connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  keepAlive: true,
});

/** Of a pool that keeps its one connection open: it must not have to get one when the server has none left to give. */
export const RESERVED = { min: 1, max: 1 } as const;

/** A pool whose idle connections may die without ending the process. Reads only: its statements end after two seconds. */
export function openReadPool(settings: DatabaseSettings, size: number | typeof RESERVED): pg.Pool {
  const limits = typeof size === 'number' ? { max: size } : size;
  const pool = new pg.Pool({ ...connectionOptions(settings), ...limits, statement_timeout: 2000, query_timeout: 3000 });
  pool.on('error', (error) => settings.onConnectionError?.(sqlState(error) ?? 'connection'));
  // Of one that somebody has taken and asks nothing just now, nobody else would hear: an error that nobody hears ends the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** The five characters of an error that PostgreSQL answered; undefined for a broken connection, a time-out or a bug. */
export function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  // TypeORM wraps the driver's error, and adds parameters that must not travel on.
  if ('driverError' in error) return sqlState(error.driverError);
  return 'code' in error && typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined;
}

/**
 * Whether the server itself said that the statement failed and the connection goes on: then nothing was committed.
 * FATAL and PANIC may come after the commit, and a lost connection says nothing.
 */
export function surelyFailed(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if ('driverError' in error) return surelyFailed(error.driverError);
  return sqlState(error) !== undefined && 'severity' in error && error.severity === 'ERROR';
}
