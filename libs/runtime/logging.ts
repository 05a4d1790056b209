import { type Logger as PinoLogger, pino } from 'pino';
import { logLines } from './log-lines/index.js';

/** One JSON object per line on stdout. Never log a body, a header or a whole request: only named fields. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'level'>;

/** Where log lines go, for tests. */
export interface LogSink {
  write(line: string): void;
}

/** Field names whose values never reach a log, at the top and one level down. */
const SECRET_FIELDS = [
  ...['authorization', 'apiKey', 'credential', 'password', 'pin', 'soPin', 'pepper', 'token', 'secret', 'enrolmentCode'],
  ...['plaintext', 'plaintextDataKey', 'ciphertext', 'key', 'keyBytes', 'databaseUrl', 'parameters'],
  ...['secretAccessKey', 'clientKey', 'sealed', 'plain'],
];

/**
 * A logger for one process or one part of it.
 * @param name shown as `name` on every line
 * @throws never: unknown levels are refused when the configuration is read
 */
export function createLogger(name: string, { level = 'info', sink }: { level?: string; sink?: LogSink } = {}): Logger {
  const options = {
    name,
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: '[redacted]' },
    serializers: { err: describeError, error: describeError, cause: describeError },
  };
  return pino(options, sink ?? logLines());
}

/** What a log line tells of an error. */
export interface LoggedError {
  readonly type: string;
  readonly message?: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

/**
 * Describes an error without what drivers put into theirs: PostgreSQL's `detail` and `parameters` hold row values,
 * PKCS#11 and TLS errors hold paths. So an error that carries a `code` of a driver is told by its class and code alone.
 */
export function describeError(error: unknown): LoggedError {
  if (!isError(error)) return { type: typeof error };
  const code = codeOf(error);
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) };
  if (isDriverError(error)) return { type: error.name, ...(code === undefined ? {} : { code }), ...cause };
  const own = { type: error.name, message: error.message, ...(error.stack === undefined ? {} : { stack: error.stack }) };
  return { ...own, ...(code === undefined ? {} : { code }), ...cause };
}

/** Not `instanceof`: errors of Node's own modules belong to another realm under jest. */
function isError(value: unknown): value is Error {
  return Object.prototype.toString.call(value) === '[object Error]';
}

function codeOf(error: Error): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' || typeof code === 'number' ? String(code) : undefined;
}

/** Drivers' errors by the fields that only they have: pg (`severity`, `routine`), TypeORM (`query`), PKCS#11 (`method`), system calls (`syscall`). */
function isDriverError(error: Error): boolean {
  return ['severity', 'routine', 'query', 'driverError', 'method', 'nativeStack', 'syscall'].some((field) => field in error);
}
