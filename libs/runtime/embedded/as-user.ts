import { readFileSync } from 'node:fs';

/** The user that PostgreSQL runs as when the starter is root: the server refuses to run as root. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export const runsAsRoot = process.getuid?.() === 0;

const PREFERRED = ['postgres', 'nobody'] as const;

/**
 * The system user for PostgreSQL, or `undefined` when the starter is not root and everything runs as its own user.
 * @throws Error when root has neither `postgres` nor `nobody`
 */
export function postgresUser(): SystemUser | undefined {
  if (!runsAsRoot) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n').map(parseAccount);
  const user = PREFERRED.map((name) => accounts.find((account) => account?.name === name)).find((account) => account !== undefined);
  if (user === undefined) throw new Error('PostgreSQL does not run as root, and there is no system user `postgres` or `nobody`.');
  return user;
}

function parseAccount(line: string): SystemUser | undefined {
  const [name, , uid, gid] = line.split(':');
  if (name === undefined || uid === undefined || gid === undefined) return undefined;
  return { name, uid: Number(uid), gid: Number(gid) };
}
