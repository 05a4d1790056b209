import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Envelope, KeywardClient, RuleListener, Stopped } from '#sdk';
import { must } from './api.js';
import { builtTest } from './built.js';
import { type Onboarded, onboarded } from './onboarded.js';

/** One service process; `encrypt` answers `sealed`, or the error's code. */
class Service {
  private constructor(
    private readonly child: ChildProcess,
    private readonly answers: AsyncIterator<string>,
  ) {}

  static start(apiKey: string, uses: string, listensTo: readonly string[]): Service {
    const env = { PATH: process.env['PATH'], SERVICE_KEY: apiKey, USES: uses, LISTENS_TO: listensTo.join(' ') };
    const child = spawn(process.execPath, [builtTest('stories/caching-sdk.js')], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    return new Service(child, createInterface({ input: child.stdout })[Symbol.asyncIterator]());
  }

  async encrypt(): Promise<string> {
    this.child.stdin!.write('4711\n');
    return String((await this.answers.next()).value);
  }

  /** Asks until the answer is this one. */
  async until(wanted: string, patienceMs = 9000): Promise<string> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const answer = await this.encrypt();
      if (answer === wanted || Date.now() > deadline) return answer;
      await sleep(20);
    }
  }

  async end(): Promise<void> {
    this.child.stdin!.end();
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }
}

describe('a stop and the data keys that a service holds', () => {
  let world: Onboarded;
  const running: Service[] = [];
  beforeAll(async () => {
    world = await onboarded({ dataPlanes: 2 });
  }, 180_000);
  afterAll(async () => {
    await Promise.all(running.map((service) => service.end()));
    await world?.stop();
  }, 60_000);

  const admin = (method: string, path: string, body?: unknown) =>
    must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body);
  const stop = async () => String((await admin('POST', '/stops', { target: { scope: 'service', service: 'billing' } })).body['stopId']);
  const start = (uses: string, listensTo: readonly string[]) => {
    const service = Service.start(world.billing, uses, listensTo);
    running.push(service);
    return service;
  };

  it('without a stream it goes on with them: that is what a lease is', async () => {
    const deaf = start(world.platform.urls.dataPlanes[0]!, []);
    expect(await deaf.encrypt()).toBe('sealed');
    const stopId = await stop();
    for (let i = 0; i < 5; i++) expect(await deaf.encrypt()).toBe('sealed');
    await admin('DELETE', `/stops/${stopId}`);
  });

  it('with one it is told, wipes them, and hears `stopped`; a lift is told too', async () => {
    const [one, other] = world.platform.urls.dataPlanes as [string, string];
    const service = start(one, [other]);
    expect(await service.until('sealed')).toBe('sealed');
    const stopId = await stop();
    expect(await service.until('stopped')).toBe('stopped');
    await admin('DELETE', `/stops/${stopId}`);
    expect(await service.until('sealed')).toBe('sealed');
  });

  it.each(['encryptStream', 'decryptStream'] as const)('ends %s while it runs, before its next byte', async (kind) => {
    const client = new KeywardClient({ apiKey: world.billing, url: world.platform.urls.dataPlanes[0]! });
    const envelope = new Envelope(client, { frameBytes: 1024 });
    const bound = { tenant: 'acme', keyId: 'alias/invoices', context: { purpose: 'invoice' } };
    const opened = { tenant: 'acme', expectedContext: bound.context };
    const listener = new RuleListener([client], 'acme', [envelope]);
    try {
      const input = kind === 'encryptStream' ? Buffer.alloc(4096) : Buffer.from(await envelope.encrypt(Buffer.alloc(4096), bound));
      const stream = kind === 'encryptStream' ? envelope.encryptStream(bound) : envelope.decryptStream(opened);
      stream.write(input.subarray(0, 3000));
      await once(
        stream.on('data', () => undefined),
        'data',
      );
      const ended = expect(once(stream, 'end')).rejects.toThrow(Stopped);
      const stopId = await stop();
      await ended;
      await admin('DELETE', `/stops/${stopId}`);
    } finally {
      await listener.close();
      client.close();
    }
  });

  it('with one replica killed it listens to the other', async () => {
    const [killed, left] = world.platform.urls.dataPlanes as [string, string];
    const service = start(left, [killed, left]);
    expect(await service.until('sealed')).toBe('sealed');
    await sleep(500);
    world.platform.processes.get('data-plane-1')!.kill();
    expect(await service.until('sealed')).toBe('sealed');
    await stop();
    expect(await service.until('stopped')).toBe('stopped');
  });
});
