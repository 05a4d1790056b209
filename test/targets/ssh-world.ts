import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { ssh } from '../../apps/worker/targets/ssh.js';
import { SshdServer } from './sshd-server.js';
import type { Example, TargetWorld } from './target-contract.js';

/** An sshd whose user's keys are edited with a key of his own that is not rotated. */
export class SshWorld implements TargetWorld {
  readonly target = ssh as TargetWorld['target'];
  readonly secured = undefined;
  readonly heard = () => undefined;

  private constructor(
    readonly server: SshdServer,
    private readonly admin: string,
    private readonly stranger: string,
  ) {}

  static async start(): Promise<SshWorld> {
    const server = await SshdServer.start();
    const admin = server.newKeys();
    appendFileSync(server.authorizedKeys, `restrict ${admin.publicKey}\n`);
    return new SshWorld(server, admin.privateKey, server.newKeys().privateKey);
  }

  get origins(): string[] {
    return [`127.0.0.1:${this.server.port}`];
  }

  get connection() {
    const { port, user: username, authorizedKeys: authorizedKeysFile } = this.server;
    return { host: '127.0.0.1', port, hostKeys: [this.server.hostKey('ed25519')], username, privateKey: this.admin, authorizedKeysFile };
  }

  get wrong() {
    return { ...this.connection, privateKey: this.stranger };
  }

  async account() {
    const keys = this.server.newKeys();
    appendFileSync(this.server.authorizedKeys, `from="127.0.0.1,::1" ${keys.publicKey}\n`);
    return { username: this.server.user, ...keys };
  }

  async letsIn({ privateKey }: Record<string, unknown>): Promise<boolean> {
    return await this.server.letsIn(privateKey as string);
  }

  /** What is to be run belongs to another host; keys cannot be shown in a documentation. Everything has a place in the example. */
  async prepare(_: readonly string[], { connection, value }: Example) {
    const account = await this.account();
    expect([connection, value].map((of) => Object.keys(of))).toEqual([Object.keys(this.connection), Object.keys(account)]);
    return { connection: this.connection, value: account };
  }

  /** A line of the key that has nothing public in it. */
  readonly confidential = ({ privateKey }: Record<string, unknown>): string[] => [(privateKey as string).trim().split('\n').at(-3)!];

  get text(): string {
    return readFileSync(this.server.authorizedKeys, 'utf8');
  }

  set text(text: string) {
    writeFileSync(this.server.authorizedKeys, text);
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }
}
