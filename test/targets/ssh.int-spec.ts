import { chmodSync, readdirSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { ssh } from '../../apps/worker/targets/ssh.js';
import { sshdIsMissing } from './sshd-server.js';
import { SshWorld } from './ssh-world.js';
import { targetContract } from './target-contract.js';
import { reasonOf, TestReach } from './test-reach.js';

const rotation = { tenant: 'acme', secretId: 'sec_00000000000000000000000000', versionId: 'v1' };

if (sshdIsMissing === undefined) {
  targetContract('ssh', { accounts: ['single'], gap: false, startsTls: false, oneIn: 7, rounds: 5 }, () => SshWorld.start());

  describe('keys of an sshd', () => {
    let world: SshWorld;
    beforeAll(async () => void (world = await SshWorld.start()), 240_000);
    afterAll(() => world?.stop(), 30_000);

    async function parts(more: object = {}, options: object = {}) {
      const current = ssh.value.parse(await world.account());
      const connection = ssh.connection.parse({ ...world.connection, ...more });
      const reach = new TestReach(world.origins);
      const made = { reach, rotation, connection, options: ssh.options.parse(options), current, previous: undefined };
      return { ...made, next: await ssh.create(made) };
    }

    it('of RSA are made and let in, by a server that is known by its RSA key', async () => {
      const turn = await parts({ hostKeys: [world.server.hostKey('rsa')] }, { keyType: 'rsa-3072' });
      expect(turn.next.publicKey).toMatch(/^ssh-rsa \S{500,} keyward-v1$/);
      await ssh.apply(turn);
      await ssh.test(turn);
      expect(await world.letsIn(turn.next)).toBe(true);
    });

    it('may do what those before them may; the file keeps its mode, and nothing is left beside it', async () => {
      chmodSync(world.server.authorizedKeys, 0o640);
      const turn = await parts();
      await ssh.apply(turn);
      expect(world.text).toContain(`from="127.0.0.1,::1" ${turn.current.publicKey}\nfrom="127.0.0.1,::1" ${turn.next.publicKey}\n`);
      expect(statSync(world.server.authorizedKeys).mode & 0o777).toBe(0o640);
      expect(readdirSync(dirname(world.server.authorizedKeys)).filter((name) => name.includes('keyward'))).toEqual([]);
    });

    it.each([
      ['another server', async () => parts({ hostKeys: [world.server.newKeys().publicKey] })],
      ['a file that is not there', async () => parts({ authorizedKeysFile: '/nonexistent/authorized_keys' })],
    ])('are not brought to %s', async (_, made) => {
      expect(await reasonOf(ssh.apply(await made()))).toBe('refused');
    });

    it('are not brought back where somebody took the current one away, nor is the last one taken', async () => {
      const turn = await parts();
      world.text = world.text.replace(turn.current.publicKey, '# gone');
      expect(await reasonOf(ssh.apply(turn))).toBe('refused');
      expect(await reasonOf(ssh.retire({ ...turn, old: turn.next }))).toBe('refused');
    });

    it('wait for the rotation of another key of the file, and not for what is left of their own', async () => {
      const turn = await parts();
      const lock = `${world.server.authorizedKeys}.keyward-lock`;
      symlinkSync('another.rotation', lock);
      let ended = false;
      const applied = ssh.apply(turn).finally(() => (ended = true));
      await setTimeout(300);
      expect([ended, readlinkSync(lock)]).toEqual([false, 'another.rotation']);
      rmSync(lock);
      await applied;
      symlinkSync(`${rotation.secretId}.${rotation.versionId}`, lock);
      await ssh.retire({ ...turn, current: turn.next, old: turn.current });
      expect([await world.letsIn(turn.next), world.text.includes(turn.current.publicKey)]).toEqual([true, false]);
    });
  });
} else it.skip(`ssh: ${sshdIsMissing}`, () => undefined);
