import { readFileSync } from 'node:fs';
import type { SecureVersion } from 'node:tls';
import { ConfigurationError, type TlsMode } from './config.js';

/** Options for Fastify's `https`; TLS 1.3 only. */
export interface ServerTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly minVersion: SecureVersion;
}

/**
 * Reads the certificate and key that a plane serves with; `undefined` where TLS ends elsewhere or is not needed.
 * @throws ConfigurationError naming the variable whose file cannot be read
 */
export function serverTls(tls: TlsMode): ServerTls | undefined {
  if (tls.mode !== 'files') return undefined;
  return {
    cert: readNamed(tls.certFile, 'KEYWARD_TLS_CERT_FILE'),
    key: readNamed(tls.keyFile, 'KEYWARD_TLS_KEY_FILE'),
    minVersion: 'TLSv1.3',
  };
}

function readNamed(file: string, variable: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new ConfigurationError(`${variable}: the file cannot be read.`, { cause });
  }
}
