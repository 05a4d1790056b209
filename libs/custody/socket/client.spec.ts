import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TenantId } from '#contract';
import { CustodyUnavailable } from '#core';
import { SocketCustody } from './client.js';
import { FrameReader } from './frames.js';
import { Outbox } from './outbox.js';
import { CODE, messages, OPERATION } from './wire.js';

const DIGEST = Buffer.alloc(32);

/** A custodian that answers what a test wants it to. */
class OddCustodian {
  readonly folder = mkdtempSync(join(tmpdir(), 'kw-'));
  readonly path = join(this.folder, 's.sock');
  readonly ids: number[][] = [];
  /** Sent as it is, for an answer. */
  raw: Uint8Array | undefined;
  answer: (id: number) => unknown = (id) => [id, CODE.ok, null];
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  async listen(): Promise<void> {
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.path, resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  #serve(socket: Socket): void {
    const [outbox, ids]: [Outbox, number[]] = [new Outbox(socket), []];
    const reader = new FrameReader((frame) => {
      const [id] = messages.unpack(frame);
      ids.push(id);
      if (this.raw !== undefined) return socket.write(this.raw);
      const reply = this.answer(id);
      if (reply !== undefined) outbox.push(messages.pack(reply));
      outbox.flush();
    });
    this.ids.push(ids);
    this.#sockets.add(socket);
    socket.on('data', (bytes: Buffer) => reader.push(bytes));
    socket.on('error', () => undefined);
  }
}

describe('the client of a custodian', () => {
  let odd: OddCustodian;
  let client: SocketCustody;

  beforeEach(async () => {
    odd = new OddCustodian();
    await odd.listen();
    client = new SocketCustody({ socketPath: odd.path, timeoutMs: 60_000 });
    await client.connect();
  });
  afterEach(async () => {
    await client.close();
    await odd.stop();
    rmSync(odd.folder, { recursive: true });
  });

  it('counts ids up and never uses one again', async () => {
    await Promise.all([client.ping(), client.ping()]);
    await client.ping();
    expect(odd.ids).toEqual([[1, 2, 3]]);
  });

  it('gives out-of-order replies to those who asked', async () => {
    const held: number[] = [];
    odd.answer = (id) => {
      held.push(id);
      return undefined;
    };
    const calls = [client.capabilities(), client.capabilities()];
    while (held.length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(held).toEqual([1, 2]);
    odd.answer = (id) => [
      3 - (id - 2),
      CODE.ok,
      {
        module: `for ${3 - (id - 2)}`,
        protectionLevel: 'SOFTWARE',
        token: { serial: '1', firmware: '2.6' },
        specs: [],
        unavailable: {},
        algorithms: {},
        inMemory: [],
      },
    ];
    const third = client.capabilities();
    await expect(calls[1]).resolves.toMatchObject({ module: 'for 2' });
    const others = Promise.allSettled([calls[0], third]);
    await client.close();
    expect((await others).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  it.each<[string, (id: number) => unknown]>([
    ['with an unknown id', (id) => [id + 1000, CODE.ok, null]],
    ['twice', (id) => (id === 1 ? [1, CODE.ok, null] : [1, CODE.ok, null])],
    ['that is no array', () => ({ id: 1 })],
    ['that is not what was asked for', (id) => [id, CODE.ok, { module: 1 }]],
  ])('closes the connection at a reply %s, and connects again', async (_what, answer) => {
    odd.answer = answer;
    const outcomes = await Promise.allSettled([client.capabilities(), client.capabilities()]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    odd.answer = (id) => [id, CODE.ok, null];
    await expect(client.ping()).resolves.toBeUndefined();
    expect(odd.ids.length).toBe(2);
  });

  it('closes the connection when an answer takes too long, and rejects all that are in flight', async () => {
    odd.answer = () => undefined;
    const hasty = new SocketCustody({ socketPath: odd.path, timeoutMs: 150 });
    const outcomes = await Promise.allSettled([hasty.ping(), hasty.ping()]);
    const late = expect.objectContaining({ reason: expect.objectContaining({ reason: expect.stringContaining('took too long') }) });
    expect(outcomes).toEqual([late, late]);
    odd.answer = (id) => [id, CODE.ok, null];
    while (!(await worksOver(hasty))) await new Promise((resolve) => setImmediate(resolve));
    expect(odd.ids.at(-1)?.[0]).toBe(1);
    await hasty.close();
  });

  it('keeps the connection when replies came in time, but this process was busy', async () => {
    odd.answer = (id) => {
      setImmediate(() => standStill(300));
      return [id, CODE.ok, null];
    };
    const hasty = new SocketCustody({ socketPath: odd.path, timeoutMs: 150 });
    await expect(hasty.ping()).resolves.toBeUndefined();
    expect(odd.ids.length).toBe(2);
    await hasty.close();
  });

  it('refuses at once what more than 4096 calls would wait for', async () => {
    odd.answer = () => undefined;
    const waiting = Array.from({ length: 4096 }, () => client.ping());
    await expect(client.ping()).rejects.toThrow(expect.objectContaining({ reason: expect.stringContaining('too many calls') }));
    const ended = Promise.allSettled(waiting);
    await client.close();
    await ended;
  });

  it('fails soon without a custodian, and works again without help', async () => {
    await odd.stop();
    await expect(client.ping()).rejects.toThrow(CustodyUnavailable);
    await expect(client.ping()).rejects.toThrow(expect.objectContaining({ reason: expect.stringContaining('there is no connection') }));
    await odd.listen();
    await client.connect();
    await expect(client.ping()).resolves.toBeUndefined();
  });

  it('wipes what it has not sent yet, and half a reply, when the connection is closed', async () => {
    odd.raw = Uint8Array.from(Buffer.from('\0\0\x01\0half a reply'));
    const [made, copies] = [jest.spyOn(Buffer, 'alloc'), jest.spyOn(Buffer, 'from')];
    const holding = (marker: string) =>
      [...made.mock.results, ...copies.mock.results].filter(({ value }) => Buffer.isBuffer(value) && value.includes(marker)).length;
    const other = new SocketCustody({ socketPath: odd.path });
    await other.connect();
    const calls: Promise<unknown>[] = [other.ping()];
    while (holding('half a reply') === 0) await new Promise((resolve) => setImmediate(resolve));
    calls.push(other.checkBindings([{ tenant: 'acme' as TenantId, kind: 'policy', id: 'not sent yet', digest: DIGEST, mac: DIGEST }]));
    expect(holding('not sent yet')).toBeGreaterThan(0);
    const ended = Promise.allSettled(calls);
    await other.close();
    await ended;
    expect([holding('not sent yet'), holding('half a reply')]).toEqual([0, 0]);
    jest.restoreAllMocks();
    for (const call of calls) await expect(call).rejects.toThrow(CustodyUnavailable);
  });

  it('refuses calls after close', async () => {
    await client.close();
    await expect(client.ping()).rejects.toThrow(CustodyUnavailable);
  });

  it('knows its operations by number', () => {
    expect(new Set(Object.values(OPERATION)).size).toBe(Object.keys(OPERATION).length);
  });
});

const worksOver = (custody: SocketCustody) =>
  custody.ping().then(
    () => true,
    () => false,
  );

function standStill(ms: number): void {
  for (const end = Date.now() + ms; Date.now() < end; );
}
