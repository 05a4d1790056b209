import ssh2, { type Client, type SFTPWrapper } from 'ssh2';
import { z } from 'zod';
import { hasKey, withKey, withoutKey } from './authorized-keys.js';
import { accountName, host, port, unlessRefused } from './password-account.js';
import { type Call, editFile } from './replaced-file.js';
import type { Reach, RotationId, RotationTarget } from './rotation-target.js';
import { TargetError } from './rotation-target.js';

const publicKey = z.string().regex(/^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{40,2000}={0,2}( [ -~]{0,200})?$/);
const privateKey = z.string().max(20_000).refine(isPrivateKey);

const connection = z.strictObject({
  host,
  port: port.default(22),
  /** The server's public keys: whoever has none of them is not the server. */
  hostKeys: z.array(publicKey).min(1).max(8),
  username: accountName,
  privateKey,
  /** From the directory in which the admin's SFTP begins, or absolute. */
  authorizedKeysFile: z
    .string()
    .regex(/^[ -~]{1,1000}$/)
    .default('.ssh/authorized_keys'),
});
type Connection = z.infer<typeof connection>;

const keyPair = z.looseObject({ username: accountName, privateKey, publicKey });
type KeyPair = z.infer<typeof keyPair>;

const KEY_TYPES = { ed25519: ['ed25519', {}], 'rsa-3072': ['rsa', { bits: 3072 }], 'rsa-4096': ['rsa', { bits: 4096 }] } as const;
const options = z.strictObject({ keyType: z.enum(['ed25519', 'rsa-3072', 'rsa-4096']).default('ed25519') });

/** Keys in an authorized_keys of OpenSSH. Both keys are there from `apply` to `retire`: there is no gap. */
export const ssh: RotationTarget<Connection, KeyPair, z.infer<typeof options>> = {
  kind: 'ssh',
  ports: [22],
  connection,
  value: keyPair,
  options,
  create: async ({ current, options: { keyType }, rotation }) => ({
    ...current,
    ...(await newKeyPair(keyType, `keyward-${rotation.versionId}`)),
  }),
  apply: ({ reach, connection, rotation, current, next }) =>
    edit(reach, connection, rotation, (text) => withKey(text, current.publicKey, next.publicKey)),
  test: ({ reach, connection, next }) => session(reach, connection, next, () => Promise.resolve()),
  revert: ({ reach, connection, rotation, next }) =>
    unlessRefused(
      () => edit(reach, connection, rotation, (text) => withoutKey(text, next.publicKey)),
      () => isRefused(session(reach, connection, next, () => Promise.resolve())),
    ),
  retire: ({ reach, connection, rotation, current, old }) =>
    edit(reach, connection, rotation, (text) => {
      // Or nobody could log in any more.
      if (!hasKey(text, current.publicKey)) throw new TargetError('refused', 'the current key is not in authorized_keys');
      return withoutKey(text, old.publicKey);
    }),
};

function isPrivateKey(text: string): boolean {
  // More than one in a file is what its types do not tell.
  const keys = [ssh2.utils.parseKey(text)].flat();
  return keys.every((key) => !(key instanceof Error) && key.isPrivateKey());
}

function newKeyPair(keyType: keyof typeof KEY_TYPES, comment: string): Promise<Pick<KeyPair, 'privateKey' | 'publicKey'>> {
  const [type, size] = KEY_TYPES[keyType];
  return new Promise((resolve, reject) => {
    ssh2.utils.generateKeyPair(type as 'rsa', { ...size, comment } as { bits: number; comment: string }, (error, pair) => {
      if (error) reject(error);
      else resolve({ privateKey: pair.private, publicKey: pair.public });
    });
  });
}

async function edit(reach: Reach, connection: Connection, rotation: RotationId, change: (text: string) => string): Promise<void> {
  await session(reach, connection, connection, async (client) => {
    const sftp = await new Promise<SFTPWrapper>((resolve, reject) =>
      client.sftp((error, opened) => (error ? reject(error) : resolve(opened))),
    );
    const closed = new Promise<never>((_, reject) => client.once('close', () => reject(new Error('The connection has ended.'))));
    closed.catch(() => undefined);
    const call: Call = async (start) =>
      await Promise.race([
        closed,
        new Promise<never>((resolve, reject) => start(sftp, (error, answer) => (error ? reject(error) : resolve(answer as never)))),
      ]);
    await editFile(call, connection.authorizedKeysFile, `${rotation.secretId}.${rotation.versionId}`, change);
  });
}

async function isRefused(login: Promise<void>): Promise<boolean> {
  return await login.then(
    () => false,
    (error: unknown) => {
      if (error instanceof TargetError && error.reason === 'refused') return true;
      throw error;
    },
  );
}

/** No group of the server's choice, whose size would be up to it; nothing that needs code other than Node's. */
const ALGORITHMS = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521'],
  cipher: ['aes256-gcm@openssh.com', 'aes128-gcm@openssh.com', 'aes256-ctr', 'aes128-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
} as const;
const HOST_KEY_ALGORITHMS: Readonly<Record<string, readonly string[]>> = { 'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'] };

/** @throws TargetError, EgressError */
async function session(
  reach: Reach,
  { host, port, hostKeys }: Connection,
  { username, privateKey }: Pick<KeyPair, 'username' | 'privateKey'>,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const sock = await reach.dial({ host, port });
  const pinned = hostKeys.map((key) => key.split(' ')[1]!);
  const serverHostKey = [...new Set(hostKeys.map((key) => key.split(' ')[0]!))].flatMap((type) => HOST_KEY_ALGORITHMS[type] ?? [type]);
  const client = new ssh2.Client();
  const server = { isStranger: false };
  const hostVerifier = (key: Buffer) => {
    server.isStranger = !pinned.includes(key.toString('base64'));
    return !server.isStranger;
  };
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve).on('error', reject);
      client.once('close', () => reject(new Error('The connection has ended.')));
      const algorithms = { ...ALGORITHMS, serverHostKey } as never;
      client.connect({ sock, username, privateKey, authHandler: ['publickey'], hostVerifier, algorithms, readyTimeout: 20_000 });
    });
    await work(client);
  } catch (error) {
    throw server.isStranger ? new TargetError('refused', "the server's key is none of the connection's") : failure(error);
  } finally {
    client.end();
    sock.destroy();
  }
}

/** By SFTP's status codes, in words that repeat nothing of the server's. */
const REFUSALS: Readonly<Record<number, string>> = {
  2: 'there is no such file',
  3: 'this login may not do that',
  8: 'the server cannot replace a file in one step',
};

function failure(error: unknown): TargetError {
  if (error instanceof TargetError) return error;
  const { level, code, message } = error as { level?: unknown; code?: unknown; message?: unknown };
  if (level === 'client-authentication') return new TargetError('refused', 'the login is not accepted');
  if (typeof message === 'string' && message.includes('no matching')) return new TargetError('refused', 'no algorithm in common');
  const refusal = typeof code === 'number' ? REFUSALS[code] : undefined;
  return refusal === undefined ? new TargetError('unavailable', 'no answer as it should be') : new TargetError('refused', refusal);
}
