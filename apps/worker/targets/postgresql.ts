import pg from 'pg';
import { z } from 'zod';
import { TLS_SETTINGS } from '#http/egress';
import { codeOf, isDistrust } from './distrust.js';
import { account, accountName, accountTarget, type DatabaseAccount, host, port, protection } from './password-account.js';
import type { Reach } from './rotation-target.js';
import { TargetError } from './rotation-target.js';
import { scramVerifier } from './scram-verifier.js';

const connection = z.strictObject({
  host,
  port: port.default(5432),
  database: accountName.default('postgres'),
  ...{ username: account.shape.username, password: account.shape.password, ...protection },
});
type Connection = z.infer<typeof connection>;

/** PostgreSQL from version 10 on, whose accounts are roles with a password of SCRAM-SHA-256. */
export const postgresql = accountTarget<Connection>(
  { kind: 'postgresql', ports: [5432], connection },
  {
    accepts: async (reach, to, login) => {
      try {
        await session(reach, to, { ...login, database: login.database ?? to.database }, async () => undefined);
        return true;
      } catch (error) {
        if (error instanceof WrongLogin) return false;
        throw error;
      }
    },
    setPassword: async (reach, to, username, password) => {
      const verifier = password === undefined ? 'NULL' : `'${scramVerifier(password)}'`;
      await session(reach, to, to, (client) => client.query(`ALTER ROLE ${pg.escapeIdentifier(username)} PASSWORD ${verifier}`));
    },
  },
);

class WrongLogin extends TargetError {}

/** @throws TargetError, WrongLogin where the server does not let this one in, EgressError */
async function session(
  reach: Reach,
  { host, port, certificateAuthority, cleartext }: Connection,
  { username, password, database }: Pick<DatabaseAccount, 'username' | 'password' | 'database'>,
  work: (client: pg.Client) => Promise<unknown>,
): Promise<void> {
  const socket = await reach.dial({ host, port, cleartext });
  const client = new pg.Client({
    ...{ host, port, user: username, password, database },
    // Connected already, to the address that was checked.
    stream: () => Object.assign(socket, { connect: () => setImmediate(() => socket.emit('connect')) }),
    ssl: cleartext ? false : { ...TLS_SETTINGS, ca: certificateAuthority },
    application_name: 'keyward',
    // What nobody waits for any more ends, too.
    ...{ statement_timeout: 10_000, lock_timeout: 10_000 },
  });
  client.on('error', () => undefined);
  Object.assign(client, ONLY_SCRAM);
  try {
    await client.connect();
    // pg's name for an exchange that came to its end: the server proved that it knows the password's verifier.
    if (!('saslSession' in client) || client.saslSession !== null) throw new TargetError('refused', 'the server asks for no SCRAM-SHA-256');
    await work(client);
    await client.end();
  } catch (error) {
    throw failure(error);
  } finally {
    socket.destroy();
  }
}

/** Whoever poses as the server would be told the password, or a hash that MD5 can be tried on. */
const ONLY_SCRAM = { _handleAuthCleartextPassword: refuse, _handleAuthMD5Password: refuse };

function refuse(this: { connection: NodeJS.EventEmitter }): void {
  this.connection.emit('error', new TargetError('refused', 'the server asks for no SCRAM-SHA-256'));
}

/** SQLSTATE, by class or in full (PostgreSQL's appendix A), in words that repeat nothing of the server's. */
const REFUSALS: readonly (readonly [code: RegExp, detail: string])[] = [
  [/^42501$/, 'this login may not do that'],
  [/^42704$/, 'there is no such role'],
  [/^3D000$/, 'there is no such database'],
  [/^(22|42|0L|25006)/, 'the server refuses the statement'],
];

function failure(error: unknown): Error {
  if (error instanceof TargetError) return error;
  const code = codeOf(error);
  if (/^28/.test(code)) return new WrongLogin('refused', 'the login is not accepted');
  const refusal = REFUSALS.find(([pattern]) => pattern.test(code));
  if (refusal !== undefined) return new TargetError('refused', refusal[1]);
  return isDistrust(error)
    ? new TargetError('refused', 'no TLS that can be trusted')
    : new TargetError('unavailable', 'the server does not answer as it should');
}
