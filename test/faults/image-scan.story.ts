import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { FRAME_TYPE, joinFrame, splitFrame } from '#contract';
import { KeywardClient } from '#sdk';
import { type Onboarded, onboarded } from '../stories/onboarded.js';
import { forms } from './forms.js';
import { Needles } from './needles.js';
import { scanImage } from './process-image.js';

const ONE_BY_ONE = 400;
const PIPELINED = { connections: 15, requests: 20 } as const;
const SLOW = 300;
const BATCHED = 100;
const ASKED = { keyId: 'alias/invoices', encryptionContext: { purpose: 'invoice' } };
const CRLF = Buffer.from('\r\n\r\n');

/** What a data plane still knows of the data keys that it answered: nothing. Linux only: /proc shows the image. */
(process.platform === 'linux' ? describe : describe.skip)('the image of the data plane', () => {
  let world: Onboarded;
  let client: KeywardClient;
  const sockets: Socket[] = [];
  beforeAll(async () => {
    world = await onboarded();
    client = new KeywardClient({ apiKey: world.billing, url: world.platform.urls.dataPlanes[0]! });
  }, 180_000);
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    client?.close();
    await world?.stop();
  }, 60_000);

  const scan = (secrets: readonly Buffer[]) =>
    scanImage(world.platform.processes.get('data-plane-1')!.pid!, new Needles(secrets.flatMap(forms)));

  function requestBytes(body: Buffer, type: string, length = body.length): Buffer {
    const head = ['POST /v1/tenants/acme/data-keys HTTP/1.1', 'host: keyward', `authorization: Bearer ${world.billing}`];
    return Buffer.concat([Buffer.from([...head, `content-type: ${type}`, `content-length: ${length}`].join('\r\n')), CRLF, body]);
  }
  const json = () => requestBytes(Buffer.from(JSON.stringify(ASKED)), 'application/json');
  const frame = () => requestBytes(joinFrame(Buffer.from(JSON.stringify(ASKED)), Buffer.alloc(0)), FRAME_TYPE);

  function open(): Socket {
    const { hostname, port } = new URL(world.platform.urls.dataPlanes[0]!);
    const socket = connect({ host: hostname, port: Number(port) });
    sockets.push(socket);
    return socket;
  }

  /** The data keys of so many answers on one connection. */
  async function answered(socket: Socket, count: number): Promise<Buffer[]> {
    const keys: Buffer[] = [];
    let bytes = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, chunk]);
      for (let one = firstAnswer(bytes); one !== undefined; one = firstAnswer(bytes)) {
        keys.push(one.key);
        bytes = bytes.subarray(one.length);
      }
      if (keys.length === count) break;
    }
    return keys;
  }

  function firstAnswer(bytes: Buffer): { key: Buffer; length: number } | undefined {
    const at = bytes.indexOf(CRLF);
    if (at < 0) return undefined;
    const head = bytes.subarray(0, at).toString('latin1').toLowerCase();
    const length = at + CRLF.length + Number(/content-length: (\d+)/.exec(head)?.[1]);
    if (bytes.length < length) return undefined;
    if (!head.startsWith('http/1.1 200')) throw new Error(head);
    const body = bytes.subarray(at + CRLF.length, length);
    const key = head.includes(FRAME_TYPE)
      ? Buffer.from(splitFrame(body)!.bytes)
      : Buffer.from((JSON.parse(body.toString()) as { plaintext: string }).plaintext, 'base64');
    return { key, length };
  }

  it('shows a canary that is on its way in', async () => {
    const canary = randomBytes(32);
    const socket = open();
    socket.write(requestBytes(canary, FRAME_TYPE, 1000));
    await sleep(300);
    expect(scan([canary])).toMatchObject({ found: true });
    socket.destroy();
  }, 60_000);

  it(`shows none of ${ONE_BY_ONE + PIPELINED.connections * PIPELINED.requests + SLOW + BATCHED} data keys`, async () => {
    const keys: Buffer[] = [];
    for (let i = 0; i < ONE_BY_ONE; i++) keys.push(Buffer.from((await client.generateDataKey({ ...CALL })).plaintext));
    for (const one of await client.generateDataKeyBatch('acme', Array<typeof ITEM>(BATCHED).fill(ITEM))) {
      if ('error' in one) throw one.error;
      keys.push(Buffer.from(one.plaintext));
    }
    const pipelined = Array.from({ length: PIPELINED.connections }, async (_, i) => {
      const socket = open();
      socket.write(Buffer.concat(Array.from({ length: PIPELINED.requests }, () => (i % 2 === 0 ? json() : frame()))));
      return await answered(socket, PIPELINED.requests);
    });
    keys.push(...(await Promise.all(pipelined)).flat());
    // Byte by byte in, and read late.
    const slow = Array.from({ length: SLOW }, async (_, i) => {
      const socket = open().setNoDelay().pause();
      const bytes = i % 2 === 0 ? json() : frame();
      for (let at = 0; at < bytes.length; at += 60) {
        socket.write(bytes.subarray(at, at + 60));
        await sleep(5);
      }
      await sleep(200);
      return await answered(socket, 1);
    });
    keys.push(...(await Promise.all(slow)).flat());
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1_100);
    await sleep(500);
    const { found, bytes } = scan(keys);
    expect(bytes).toBeGreaterThan(30_000_000);
    expect(found).toBe(false);
  }, 180_000);
});

const ITEM = { keyId: ASKED.keyId, context: ASKED.encryptionContext };
const CALL = { tenant: 'acme', ...ITEM };
