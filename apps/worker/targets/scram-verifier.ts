import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** PostgreSQL's default; the passwords are random, so that more would not make them safer. */
const ITERATIONS = 4096;

/**
 * What PostgreSQL keeps of a password (its documentation, pg_authid): `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, the three in
 * base64, as RFC 5802 §3 computes them with RFC 7677's hash. It opens nothing: who logs in proves to know the ClientKey.
 * @param password ASCII, which SASLprep leaves as it is
 */
export function scramVerifier(password: string, salt: Uint8Array = randomBytes(16), iterations = ITERATIONS): string {
  const saltedPassword = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  try {
    const keyed = (label: string) => createHmac('sha256', saltedPassword).update(label).digest();
    const storedKey = createHash('sha256').update(keyed('Client Key')).digest('base64');
    const serverKey = keyed('Server Key').toString('base64');
    return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`;
  } finally {
    saltedPassword.fill(0);
  }
}
