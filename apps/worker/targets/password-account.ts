import { z } from 'zod';
import { newPassword } from './password.js';
import type { Reach, RotationTarget } from './rotation-target.js';
import { TargetError } from './rotation-target.js';

const PUNCTUATION = '!#$%&()*+,-./:;<=>?@[]^_{|}~';

/** Nothing that ends a quoted name or begins an escape in any dialect of SQL, no spaces, no control characters. */
export const accountName = z.string().regex(/^[A-Za-z0-9_.@$+-]{1,63}$/);
/** Printable ASCII: the same bytes in every character set, and as SASLprep (RFC 4013) leaves them. */
export const password = z.string().regex(/^[\x20-\x7e]{1,256}$/);
export const host = z.string().regex(/^[A-Za-z0-9_.:-]{1,253}$/);
export const port = z.int().min(1).max(65_535);

/** How a server's certificate is judged, or that there is none. */
export const protection = {
  /** PEM: trusted instead of the public authorities. */
  certificateAuthority: z.string().min(1).max(65_536).optional(),
  /** No TLS, which only an origin on the operator's list may ask for. */
  cleartext: z.boolean().default(false),
};

/** What a service logs in with. Whatever else stands there (a host, a database) is kept. */
export const account = z.looseObject({ username: accountName, password });

export const accountOptions = z.strictObject({
  length: z.int().min(16).max(128).default(32),
  // Letters and digits: they stand unescaped in URLs, connection strings, shells and configuration files.
  excludeCharacters: z.string().max(94).default(PUNCTUATION),
});
type AccountOptions = z.infer<typeof accountOptions>;

/** Two accounts in turn where `alternateUsername` names the other one; without it, one. `database`: the one to log in to. */
const databaseAccount = account.extend({ alternateUsername: accountName.optional(), database: accountName.optional() });
export type DatabaseAccount = z.infer<typeof databaseAccount>;

/** What differs from one database to another. Both throw TargetError or EgressError. */
export interface AccountServer<Connection> {
  /** True where the server lets this login in, false where it says that the login is wrong. */
  accepts(reach: Reach, connection: Connection, login: DatabaseAccount): Promise<boolean>;
  /** Sets the one password that opens an account, or (undefined) that none does. The server learns it as a hash only. */
  setPassword(reach: Reach, connection: Connection, username: string, password: string | undefined): Promise<void>;
}

/** Accounts of a database whose server keeps one password for each. */
export function accountTarget<Connection>(
  about: Pick<RotationTarget<Connection, DatabaseAccount, AccountOptions>, 'kind' | 'ports' | 'connection'>,
  { accepts, setPassword }: AccountServer<Connection>,
): RotationTarget<Connection, DatabaseAccount, AccountOptions> {
  return {
    ...about,
    value: databaseAccount,
    options: accountOptions,
    create: ({ current, options }) => ({ ...current, ...otherAccount(current), password: newPassword(options) }),
    apply: ({ reach, connection, next }) => setPassword(reach, connection, next.username, next.password),
    test: async ({ reach, connection, next }) => {
      if (!(await accepts(reach, connection, next))) throw new TargetError('refused', 'the new login is not accepted');
    },
    revert: async ({ reach, connection, next, current }) => {
      if (next.username !== current.username) return await close(reach, connection, next);
      await unlessRefused(
        () => setPassword(reach, connection, current.username, current.password),
        () => accepts(reach, connection, current),
      );
    },
    retire: async ({ reach, connection, current, old }) => {
      if (old.username !== current.username) await close(reach, connection, old);
    },
  };

  /** The account may have got another password since: that one stays. */
  async function close(reach: Reach, connection: Connection, login: DatabaseAccount): Promise<void> {
    if (await accepts(reach, connection, login)) await setPassword(reach, connection, login.username, undefined);
  }
}

/** To undo what was not done needs no rights: with a wrong admin's login, nothing was changed, and it is enough to see that it `isFine`. */
export async function unlessRefused(undo: () => Promise<void>, isFine: () => Promise<boolean>): Promise<void> {
  try {
    await undo();
  } catch (error) {
    if (!(error instanceof TargetError && error.reason === 'refused' && (await isFine()))) throw error;
  }
}

const otherAccount = ({ username, alternateUsername }: DatabaseAccount) =>
  alternateUsername === undefined ? {} : { username: alternateUsername, alternateUsername: username };
