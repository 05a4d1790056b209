import { createHash } from 'node:crypto';
import { z } from 'zod';
import { EgressError } from '#http/egress';
import { isDistrust } from './distrust.js';
import { newPassword } from './password.js';
import { account, accountName, accountOptions, host, password, port, protection, unlessRefused } from './password-account.js';
import { RedisFailure, RedisSession } from './redis-session.js';
import type { Reach, RotationTarget } from './rotation-target.js';
import { TargetError } from './rotation-target.js';

const connection = z.strictObject({
  /** Each keeps its own users: a primary tells its replicas nothing of them, nor a node of a cluster the others. */
  nodes: z
    .array(z.strictObject({ host, port: port.default(6379) }))
    .min(1)
    .max(64),
  username: accountName.default('default'),
  password,
  /** Where users outlive a restart: in the ACL file, in redis.conf, or nowhere, where somebody else sees to it. */
  keptIn: z.enum(['acl-file', 'config', 'nowhere']).default('acl-file'),
  ...protection,
});
type Connection = z.infer<typeof connection>;
type Account = z.infer<typeof account>;

const KEEP = { 'acl-file': ['ACL', 'SAVE'], config: ['CONFIG', 'REWRITE'], nowhere: undefined } as const;

/** Users of Redis from version 6 on, or of Valkey. Both passwords open one from `apply` to `retire`: there is no gap. */
export const redis: RotationTarget<Connection, Account, z.infer<typeof accountOptions>> = {
  kind: 'redis',
  ports: [6379, 6380],
  connection,
  value: account,
  options: accountOptions,
  create: ({ current, options }) => ({ ...current, password: newPassword(options) }),
  apply: async ({ reach, connection, next }) => {
    await asAdmin(reach, connection, async (session) => {
      const passwords = await passwordsOf(session, next.username);
      if (!passwords.includes(digest(next))) await session.call('ACL', 'SETUSER', next.username, `#${digest(next)}`);
    });
  },
  test: async ({ reach, connection, next }) => {
    await atEach(reach, connection, next, async () => undefined);
  },
  revert: async ({ reach, connection, next, current }) => {
    await unlessRefused(
      () => forget(reach, connection, next, current),
      () => noneAccepts(reach, connection, next),
    );
  },
  retire: async ({ reach, connection, old, current }) => await forget(reach, connection, old, current),
};

/** As Redis keeps it. The password is random: to find it from this is to find a random number of 190 bits. */
const digest = (of: Account): string => createHash('sha256').update(of.password).digest('hex');

/** Removes one password; `other` has to be there, or nobody could log in any more. */
async function forget(reach: Reach, connection: Connection, login: Account, other: Account): Promise<void> {
  await asAdmin(reach, connection, async (session) => {
    const passwords = await passwordsOf(session, login.username);
    if (!passwords.includes(digest(other))) throw new TargetError('refused', 'the user has not got the current password');
    if (passwords.includes(digest(login))) await session.call('ACL', 'SETUSER', login.username, `!${digest(login)}`);
  });
}

const userAnswer = z.array(z.unknown()).transform((flat) => {
  const field = (name: string) => z.array(z.string()).parse(flat[flat.indexOf(name) + 1]);
  return { flags: field('flags'), passwords: field('passwords') };
});

/** SHA-256, in hexadecimal. ACL SETUSER would make a user that is not there, and take away that one needs no password. */
async function passwordsOf(session: RedisSession, username: string): Promise<readonly string[]> {
  const answer = await session.call('ACL', 'GETUSER', username);
  if (answer === null) throw new TargetError('refused', 'there is no such user');
  const { flags, passwords } = userAnswer.parse(answer);
  if (flags.includes('nopass')) throw new TargetError('refused', 'the user needs no password');
  return passwords;
}

/** The work at each node, which keeps what it learnt also where an attempt before this one did not come so far. */
async function asAdmin(reach: Reach, connection: Connection, work: (session: RedisSession) => Promise<void>): Promise<void> {
  const keep = KEEP[connection.keptIn];
  await atEach(reach, connection, connection, async (session) => {
    await work(session);
    if (keep !== undefined) await session.call(...keep);
  });
}

async function noneAccepts(reach: Reach, connection: Connection, login: Account): Promise<boolean> {
  for (const node of connection.nodes) {
    const accepted = await atEach(reach, { ...connection, nodes: [node] }, login, async () => undefined).then(() => true, refusedIsFalse);
    if (accepted) return false;
  }
  return true;
}

function refusedIsFalse(error: unknown): false {
  if (error instanceof TargetError && error.reason === 'refused') return false;
  throw error;
}

/** @throws TargetError, EgressError */
async function atEach(
  reach: Reach,
  { nodes, cleartext, certificateAuthority }: Connection,
  { username, password }: Pick<Account, 'username' | 'password'>,
  work: (session: RedisSession) => Promise<void>,
): Promise<void> {
  for (const node of nodes) {
    try {
      const socket = await (cleartext ? reach.dial({ ...node, cleartext }) : reach.connect({ ...node, certificateAuthority }));
      const session = new RedisSession(socket);
      try {
        await session.call('AUTH', username, password);
        await work(session);
      } finally {
        socket.destroy();
      }
    } catch (error) {
      throw failure(error);
    }
  }
}

/** What passes by itself, by how Redis's error begins; every other answer is final. */
const PASSING = /^(LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|OOM|ERR max number of clients|ERR There was an error trying to save)/;
const REFUSALS: readonly (readonly [begins: RegExp, detail: string])[] = [
  [/^WRONGPASS|^NOAUTH/, 'the login is not accepted'],
  [/^NOPERM/, 'this login may not do that'],
  [/^ERR This Redis instance is not configured to use an ACL file/, 'Redis has no ACL file'],
  [/^ERR The server is running without a config file/, 'Redis has no configuration file'],
];

function failure(error: unknown): Error {
  if (error instanceof TargetError) return error;
  if (error instanceof EgressError) return isDistrust(error.cause) ? new TargetError('refused', 'no TLS that can be trusted') : error;
  if (!(error instanceof RedisFailure) || PASSING.test(error.text)) return new TargetError('unavailable', 'no answer as it should be');
  return new TargetError('refused', REFUSALS.find(([begins]) => begins.test(error.text))?.[1] ?? 'Redis refuses the command');
}
