import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { runsAsRoot } from '../../libs/runtime/embedded/as-user.js';
import { freePort } from '../../libs/runtime/embedded/free-port.js';
import { missing, type Programs, programs } from './debian-programs.js';

const PATHS = ['/usr/sbin/sshd', '/usr/bin/sftp', '/usr/bin/ssh', '/usr/bin/ssh-keygen'];
export const sshdIsMissing = missing(PATHS);
const START_MS = 60_000;
/** An account of every Debian, for a test that is root: nobody's may be locked. */
const ORDINARY = 'daemon';

/** An OpenSSH on loopback, never as root, so that it lets in one user: the one that it runs as. */
export class SshdServer {
  #keys = 0;

  private constructor(
    private readonly installed: Programs,
    readonly folder: string,
    private readonly child: ChildProcess,
    readonly port: number,
    readonly user: string,
  ) {}

  static async start(): Promise<SshdServer> {
    const installed = await programs(PATHS, ['openssh-server', 'openssh-sftp-server', 'openssh-client']);
    const folder = mkdtempSync(join(tmpdir(), 'keyward-sshd-'));
    const user = runsAsRoot ? ORDINARY : userInfo().username;
    const [uid, gid] = ['-u', '-g'].map((of) => Number(execFileSync('id', [of, user], { encoding: 'utf8' })));
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, 'server'));
    const port = await freePort();
    const file = (name: string) => join(folder, 'server', name);
    for (const type of ['ed25519', 'rsa'])
      execFileSync(join(installed.root, 'usr/bin/ssh-keygen'), ['-q', '-t', type, '-N', '', '-C', 'host', '-f', file(type)], {
        env: installed.env,
      });
    const settings = [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${file('ed25519')}`,
      `HostKey ${file('rsa')}`,
      `AuthorizedKeysFile ${file('%u')}`,
      // Its folder lies where everybody may write.
      'StrictModes no',
      ...['PidFile none', 'UsePAM no', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'MaxStartups 500'],
      'Subsystem sftp internal-sftp',
    ];
    // From version 9.8 on.
    const session = join(installed.root, 'usr/lib/openssh/sshd-session');
    if (existsSync(session)) settings.push(`SshdSessionPath ${session}`, 'PerSourcePenalties no');
    writeFileSync(file('settings'), `${settings.join('\n')}\n`);
    writeFileSync(file(user), '# Nobody yet.\n', { mode: 0o640 });
    for (const name of ['.', 'ed25519', 'rsa', 'settings', user]) chownSync(file(name), uid!, gid!);
    const log = openSync(join(folder, 'log'), 'a');
    const child = spawn(join(installed.root, 'usr/sbin/sshd'), ['-D', '-e', '-f', file('settings')], {
      ...{ env: installed.env, stdio: ['ignore', log, log], ...(runsAsRoot && { uid: uid!, gid: gid! }) },
    });
    const server = new SshdServer(installed, folder, child, port, user);
    const deadline = performance.now() + START_MS;
    while (!(await server.#listens())) {
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error(`sshd does not start: ${readFileSync(join(folder, 'log'), 'utf8').slice(-2000)}`);
      await setTimeout(20);
    }
    return server;
  }

  get authorizedKeys(): string {
    return join(this.folder, 'server', this.user);
  }

  hostKey(type: 'ed25519' | 'rsa'): string {
    return readFileSync(join(this.folder, 'server', `${type}.pub`), 'utf8').trim();
  }

  /** A new pair of ssh-keygen's. */
  newKeys(): { privateKey: string; publicKey: string } {
    const path = join(this.folder, `key${++this.#keys}`);
    const args = ['-q', '-t', 'ed25519', '-N', '', '-C', 'shop', '-f', path];
    execFileSync(join(this.installed.root, 'usr/bin/ssh-keygen'), args, { env: this.installed.env });
    return { privateKey: readFileSync(path, 'utf8'), publicKey: readFileSync(`${path}.pub`, 'utf8').trim() };
  }

  /** By OpenSSH's own client. */
  async letsIn(privateKey: string): Promise<boolean> {
    const path = join(this.folder, `login${++this.#keys}`);
    writeFileSync(path, privateKey, { mode: 0o600 });
    const client = (name: string) => join(this.installed.root, 'usr/bin', name);
    const settings = ['BatchMode=yes', 'IdentitiesOnly=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'];
    const args = ['-F', '/dev/null', '-S', client('ssh'), ...settings.flatMap((setting) => ['-o', setting]), '-i', path];
    const login = promisify(execFile)(client('sftp'), [...args, '-b', '/dev/null', '-P', String(this.port), `${this.user}@127.0.0.1`], {
      env: this.installed.env,
    });
    return await login.then(
      () => true,
      (error: { stderr: string }) => {
        if (error.stderr.includes('Permission denied')) return false;
        throw new Error(error.stderr);
      },
    );
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #listens(): Promise<boolean> {
    const socket = connect(this.port, '127.0.0.1');
    return await once(socket, 'connect')
      .then(
        () => true,
        () => false,
      )
      .finally(() => socket.destroy());
  }
}
