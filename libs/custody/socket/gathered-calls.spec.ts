import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Connection } from './connection.js';
import { GatheredCalls } from './gathered-calls.js';
import { type Handler, PlaneSocket } from './server.js';
import { CODE, messages, OPERATION, TOGETHER } from './wire.js';

const { encrypt, decrypt, generateDataKey, sign } = OPERATION;
const ROWS = [Buffer.from('one row'), Buffer.from('another')];

describe('calls that use one key', () => {
  it('are sent in their order, each once, and only what is alike together', () => {
    const call = fc.record({
      operation: fc.constantFrom(encrypt, decrypt, generateDataKey, sign),
      tenant: fc.constantFrom('acme', 'globex'),
      row: fc.constantFrom(...ROWS),
      item: fc.oneof(fc.uint8Array({ maxLength: 6144 }), fc.integer({ min: 1, max: 1024 })),
    });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 200 }), (calls) => {
        const sent: (readonly unknown[])[] = [];
        const gathered = new GatheredCalls(([first, operation, tenant, args], id, count) => {
          expect(first).toBe(id);
          const [used, row, items] =
            operation === TOGETHER ? (args as unknown[]) : [operation, (args as unknown[])[0], [(args as unknown[]).slice(1)]];
          expect(items).toHaveLength(count);
          for (const [at, [item]] of (items as unknown[][]).entries()) sent.push([id + at, used, tenant, row, item]);
        });
        for (const [at, { operation, tenant, row, item }] of calls.entries())
          gathered.add(at + 1, { operation, tenant, args: [row, item] });
        gathered.flush();
        expect(sent).toEqual(calls.map(({ operation, tenant, row, item }, at) => [at + 1, operation, tenant, row, item]));
      }),
    );
  });
});

describe('over a socket', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kw-'));
  const socketPath = join(folder, 'data', 'data.sock');
  const handlers: Record<number, Handler> = {
    [decrypt]: (_tenant, [row, item]) => {
      if (String(item) === 'bad') throw new Error('bad');
      return [Buffer.from(`${String(row)}: ${String(item)}`)];
    },
    [generateDataKey]: (_tenant, [, length]) => [Buffer.alloc(Number(length), 1), Buffer.alloc(Number(length), 2)],
    [sign]: () => [Buffer.from('signed')],
  };
  const operations = new Map(Object.entries(handlers).map(([operation, handle]) => [Number(operation), handle]));
  const server = new PlaneSocket({ socketPath, operations, codeOf: () => CODE.decryptFailed });
  let connection: Connection;
  beforeAll(async () => {
    await server.listen();
    connection = await Connection.to(socketPath, () => undefined);
  });
  afterAll(async () => {
    connection.close('over');
    await server.close();
    rmSync(folder, { recursive: true });
  });
  const ask = (operation: number, row: Buffer, item: unknown) =>
    connection.call({
      ...{ operation, tenant: 'acme', args: [row, item], subject: '', timeoutMs: 60_000 },
      read: (result) => (result as Buffer[]).map(String),
    });

  it('each is answered by itself: one that fails spoils no other', async () => {
    const items = Array.from({ length: 200 }, (_, n) => (n % 7 === 0 ? 'bad' : `item ${n}`));
    const told = await Promise.allSettled(items.map((item, n) => ask(decrypt, ROWS[n % 50 === 0 ? 1 : 0]!, Buffer.from(item))));
    expect(told.map((one) => (one.status === 'fulfilled' ? one.value[0] : (one.reason as { code: string }).code))).toEqual(
      items.map((item, n) => (item === 'bad' ? 'decrypt-failed' : `${n % 50 === 0 ? 'another' : 'one row'}: ${item}`)),
    );
  });

  it.each([
    ['fewer replies', [[CODE.ok, [Buffer.from('x')]]]],
    ['no list of replies', Buffer.from('x')],
    ['what is no reply', [7, 8]],
  ])('a custodian that answers %s is not believed', async (_what, replies) => {
    const path = join(folder, 'odd.sock');
    const content = messages.pack([1, CODE.ok, replies]);
    const odd = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write(Buffer.concat([Buffer.from([0, 0, content.length >> 8, content.length & 255]), content])));
    });
    await new Promise<void>((resolve) => odd.listen(path, resolve));
    const believing = await Connection.to(path, () => undefined);
    const call = { operation: decrypt, tenant: 'acme', args: ROWS, subject: '', timeoutMs: 60_000, read: String };
    const told = await Promise.allSettled([believing.call(call), believing.call(call)]);
    expect(told.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await new Promise((resolve) => odd.close(resolve));
  });

  it('the longest data keys fit into their frames', async () => {
    const told = await Promise.all(Array.from({ length: 100 }, () => ask(generateDataKey, ROWS[0]!, 1024)));
    expect(told.every((result) => result.length === 2)).toBe(true);
  });

  it('what was made for a frame that is too long is wiped', async () => {
    const made = Array.from({ length: 64 }, () => [Buffer.alloc(1024, 1), Buffer.alloc(1024, 2)]);
    const left = [...made];
    const path = join(folder, 'long', 'data.sock');
    const long = new PlaneSocket({ socketPath: path, operations: new Map([[encrypt, () => left.pop()]]), codeOf: () => CODE.malformed });
    await long.listen();
    const content = messages.pack([1, TOGETHER, 'acme', [encrypt, ROWS[0], made.map(() => [0])]]);
    const socket = connect(path).on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(Buffer.concat([Buffer.from([0, 0, content.length >> 8, content.length & 255]), content]));
    await closed;
    expect(left).toEqual([]);
    expect(made.flat().every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
    await long.close();
  });

  it.each([
    ['an operation that is not gathered', [sign, ROWS[0], [[Buffer.from('x')]]], [1, CODE.notAllowed]],
    ['an operation that this plane has not', [encrypt, ROWS[0], [[Buffer.from('x')]]], [1, CODE.notAllowed]],
    ['itself', [TOGETHER, ROWS[0], [[decrypt]]], [1, CODE.notAllowed]],
    ['what is no list', [decrypt, ROWS[0], 'items'], undefined],
    ['items that are no lists', [decrypt, ROWS[0], ['item']], undefined],
    ['more than planes send', [decrypt, ROWS[0], Array.from({ length: 65 }, () => [Buffer.from('x')])], undefined],
  ])('%s is refused', async (_what, args, reply) => {
    const content = messages.pack([1, TOGETHER, 'acme', args]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    const socket = connect(socketPath).on('error', () => undefined);
    const told = new Promise<unknown>((resolve) => {
      socket.once('data', (bytes: Buffer) => resolve(messages.unpack(bytes.subarray(4))));
      socket.once('close', () => resolve(undefined));
    });
    socket.write(Buffer.concat([length, content]));
    expect(await told).toEqual(reply);
    socket.destroy();
  });
});
