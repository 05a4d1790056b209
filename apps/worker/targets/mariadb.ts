import { z } from 'zod';
import { isDistrust } from './distrust.js';
import { MariadbDistrust, MariadbFailure, type MariadbLogin, MariadbSession, nativeHash } from './mariadb-session.js';
import { account, accountTarget, host, port, protection } from './password-account.js';
import type { Reach } from './rotation-target.js';
import { TargetError } from './rotation-target.js';

const connection = z.strictObject({
  host,
  port: port.default(3306),
  ...{ username: account.shape.username, password: account.shape.password, ...protection },
  /** Whence the accounts may log in: the part of `'shop'@'%'` behind the `@`. */
  accountHost: z
    .string()
    .regex(/^[A-Za-z0-9_.:%/-]{1,255}$/)
    .default('%'),
});
type Connection = z.infer<typeof connection>;

/** MariaDB from version 10.4 on: accounts of mysql_native_password, whose passwords are random and so not found by their hash. */
export const mariadb = accountTarget<Connection>(
  { kind: 'mariadb', ports: [3306], connection },
  {
    accepts: async (reach, to, { username: user, password, database }) => {
      try {
        await session(reach, to, { user, password, database }, async () => undefined);
        return true;
      } catch (error) {
        if (error instanceof WrongLogin) return false;
        throw error;
      }
    },
    setPassword: async (reach, to, username, password) => {
      // `invalid` is the hash of no password (MariaDB's documentation of mysql_native_password).
      const hash = password === undefined ? 'invalid' : nativeHash(password);
      await session(reach, to, { user: to.username, password: to.password }, async (database) => {
        // What nobody waits for any more ends, too.
        await database.run('SET max_statement_time = 10, lock_wait_timeout = 10');
        await database.run(`ALTER USER '${username}'@'${to.accountHost}' IDENTIFIED VIA mysql_native_password USING '${hash}'`);
      });
    },
  },
);

class WrongLogin extends TargetError {}

/** @throws TargetError, WrongLogin where the server does not let this one in, EgressError */
async function session(
  reach: Reach,
  { host, port, certificateAuthority, cleartext }: Connection,
  login: MariadbLogin,
  work: (database: MariadbSession) => Promise<void>,
): Promise<void> {
  const socket = await reach.dial({ host, port, cleartext });
  try {
    await work(await MariadbSession.open(socket, login, cleartext ? undefined : { host, certificateAuthority }));
  } catch (error) {
    throw failure(error);
  } finally {
    socket.destroy();
  }
}

/** 1045, 1698: denied; 1130: not from here; 1820, 1862: expired; 4150, 4151: blocked, locked. */
const WRONG_LOGIN: readonly number[] = [1045, 1698, 1130, 1820, 1862, 4150, 4151];
/** MariaDB's error codes, in words that repeat nothing of the server's. */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [1044, 'this login may not enter the database'],
  [1049, 'there is no such database'],
  [1064, 'the server does not understand the statement'],
  [1142, 'this login may not do that'],
  [1227, 'this login may not do that'],
  [1290, 'the server is read-only, or takes no hashes (strict_password_validation)'],
  [1396, 'there is no such account'],
  [1524, 'the server has no mysql_native_password'],
]);

function failure(error: unknown): Error {
  if (error instanceof TargetError) return error;
  if (error instanceof MariadbDistrust || isDistrust(error)) return new TargetError('refused', `no trust: ${reasonOf(error)}`);
  const number = error instanceof MariadbFailure ? error.number : 0;
  if (WRONG_LOGIN.includes(number)) return new WrongLogin('refused', 'the login is not accepted');
  const refusal = REFUSALS.get(number);
  return refusal === undefined ? new TargetError('unavailable', 'no answer as it should be') : new TargetError('refused', refusal);
}

/** In words of ours. */
const reasonOf = (error: unknown): string => (error instanceof MariadbDistrust ? error.message : 'no TLS that can be trusted');
