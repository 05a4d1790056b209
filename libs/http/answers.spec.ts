import { randomBytes } from 'node:crypto';
import { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ANSWER_DEADLINE_MS } from '#core';
import { FakePlane, KEYS } from './test/fake-plane.js';

const keyId = 'key_01arz3ndektsv4rrffq69g5fav';
const keyVersionId = 'kver_01arz3ndektsv4rrffq69g5fav';

let now = Date.now();
let plane: FakePlane;
beforeEach(async () => {
  now = Date.now();
  plane = await FakePlane.start({ clock: { now: () => new Date(now) } });
});
afterEach(() => plane.stop());

const request = (path: string, body: object) => {
  const text = JSON.stringify(body);
  return `POST /v1/tenants/acme/${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEYS.service}\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
};
const dataKey = request('data-keys', { keyId });
const decrypt = request('decrypt', { ciphertext: Buffer.alloc(64, 1).toString('base64') });

/** The fake HSM: what it made, and what became of the buffers that were answered. */
function answering(sizes: { dataKey: number; plaintext: number }) {
  const made: string[] = [];
  const given: Buffer[] = [];
  let behind = 0;
  const bytes = (length: number) => {
    const secret = randomBytes(length);
    made.push(secret.toString('base64'));
    given.push(secret);
    return secret;
  };
  plane.pipeline.answer = async (operation) => {
    // The first is slow, so that all that is pipelined behind it is ready, and waits.
    const first = behind === 0;
    behind++;
    if (first) await sleep(100);
    const plaintext = bytes(operation === 'Decrypt' ? sizes.plaintext : sizes.dataKey);
    return {
      answer: { keyId, keyVersionId, lease: { maxAgeSeconds: 60 }, ciphertext: Buffer.alloc(80), plaintext } as never,
      seq: BigInt(given.length),
      secret: plaintext,
    };
  };
  return { made, given };
}

/** Sends all requests at once, reads nothing for a while, then reads everything. */
async function plaintextsOf(port: number, requests: string[], pauseMs: number): Promise<string[]> {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.write(requests.join(''));
  await sleep(pauseMs);
  let text = '';
  const count = () => text.match(/"plaintext":"[^"]*"/g)?.length ?? 0;
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  for (let i = 0; i < 400 && count() < requests.length; i++) await sleep(10);
  socket.destroy();
  return [...text.matchAll(/"plaintext":"([^"]*)"/g)].map(([, plaintext]) => plaintext!);
}

describe('no answer is ever all zeros', () => {
  it('neither behind a slow request of a pipeline, nor for a slow reader', async () => {
    const port = await plane.listen();
    const { made, given } = answering({ dataKey: 1024, plaintext: 6144 });
    const requests = Array.from({ length: 600 }, (_, i) => (i % 2 === 0 ? dataKey : decrypt));
    const received = await plaintextsOf(port, requests, 1500);
    expect(received).toHaveLength(600);
    expect(new Set(received)).toEqual(new Set(made));
    await sleep(50);
    expect(given.every(isZero)).toBe(true);
  });

  it('and the harness would see them: wiping right after sending makes it red', async () => {
    const port = await plane.listen();
    answering({ dataKey: 1024, plaintext: 6144 });
    const restore = wipeRightAfterSending();
    try {
      const received = await plaintextsOf(
        port,
        Array.from({ length: 20 }, () => dataKey),
        300,
      );
      expect(received.some((plaintext) => /^0+$/.test(plaintext))).toBe(true);
    } finally {
      restore();
    }
  });

  // More than the kernel takes at once: nothing waits here but the reader.
  const large = { dataKey: 32, plaintext: 8 * 1024 * 1024 };

  it('nor for a slow reader alone', async () => {
    const port = await plane.listen();
    const { made, given } = answering(large);
    const [received] = await plaintextsOf(port, [decrypt], 400);
    expect(received === made[0]).toBe(true);
    await sleep(50);
    expect(given.every(isZero)).toBe(true);
  });

  it('which wiping right after sending makes red, too', async () => {
    const port = await plane.listen();
    answering(large);
    const restore = wipeRightAfterSending();
    try {
      const [received] = await plaintextsOf(port, [decrypt], 400);
      expect(received?.endsWith('0'.repeat(1000))).toBe(true);
    } finally {
      restore();
    }
  });
});

/** The bug this suite is about. Zeros as digits, so that the answer stays JSON. */
function wipeRightAfterSending(): () => void {
  const { end } = ServerResponse.prototype;
  ServerResponse.prototype.end = function (this: ServerResponse, ...args: unknown[]) {
    Reflect.apply(end, this, args);
    const [body] = args;
    if (Buffer.isBuffer(body)) body.fill('0', body.indexOf('"plaintext":"') + 13, body.length - 2);
    return this;
  };
  return () => {
    ServerResponse.prototype.end = end;
  };
}

const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);

describe('what was answered is wiped', () => {
  it('after the response has finished, body and result alike', async () => {
    const { given } = answering({ dataKey: 32, plaintext: 32 });
    const answer = await plane.ask('POST', '/v1/tenants/acme/data-keys', { keyId }, { as: 'service' });
    expect(Buffer.from(answer.json<{ plaintext: string }>().plaintext, 'base64')).toHaveLength(32);
    expect(isZero(given[0]!)).toBe(true);
  });

  it('when the client goes away, also what waits behind others of its pipeline', async () => {
    const port = await plane.listen();
    const { given } = answering({ dataKey: 1024, plaintext: 6144 });
    const released = Promise.withResolvers<void>();
    const { answer } = plane.pipeline;
    let first = true;
    plane.pipeline.answer = async (operation, input) => {
      const isFirst = first;
      first = false;
      if (isFirst) await released.promise;
      return await answer(operation, input);
    };
    const socket = connect(port, '127.0.0.1');
    socket.write(decrypt.repeat(20));
    while (given.length < 19) await sleep(10);
    await sleep(30);
    expect(given.some(isZero)).toBe(false);
    socket.destroy();
    // Node reads nothing, not even the end, from a connection with so much waiting: the first answer finds out.
    released.resolve();
    await sleep(300);
    expect(given).toHaveLength(20);
    expect(given.every(isZero)).toBe(true);
  });

  it('when it came after its deadline, and 503 is told instead', async () => {
    const { given } = answering({ dataKey: 32, plaintext: 32 });
    const { answer } = plane.pipeline;
    plane.pipeline.answer = async (operation, input) => {
      const answered = await answer(operation, input);
      now += ANSWER_DEADLINE_MS + 1;
      return answered;
    };
    const response = await plane.ask('POST', '/v1/tenants/acme/data-keys', { keyId }, { as: 'service' });
    expect([response.statusCode, response.headers['retry-after'], response.headers['content-type']]).toEqual([
      503,
      '1',
      'application/problem+json',
    ]);
    expect(response.body).not.toContain('plaintext');
    expect(isZero(given[0]!)).toBe(true);
  });
});

describe('other forms of answers', () => {
  it('lifts with 204 and no body', async () => {
    plane.pipeline.answer = () => Promise.resolve({ answer: undefined, seq: 9n, secret: undefined });
    const answer = await plane.ask('DELETE', '/v1/tenants/acme/stops/stop_01arz3ndektsv4rrffq69g5fav', undefined, { as: 'admin' });
    expect([answer.statusCode, answer.body, answer.headers['keyward-record'], answer.headers['content-type']]).toEqual([
      204,
      '',
      '9',
      undefined,
    ]);
  });

  it('tells a policy by its version', async () => {
    plane.pipeline.answer = () => Promise.resolve({ answer: { version: 3 } as never, seq: 9n, secret: undefined });
    const answer = await plane.ask(
      'PUT',
      '/v1/tenants/acme/policy',
      { schema: 'keyward.policy/1' },
      { as: 'admin', headers: { 'if-match': '"2"' } },
    );
    expect([answer.statusCode, answer.headers.etag]).toEqual([200, '"3"']);
    expect(plane.pipeline.ran[0]!.input).toMatchObject({ replaces: 2 });
  });

  it('streams a bundle', async () => {
    async function* tar() {
      yield Buffer.from('one');
      yield Buffer.from('two');
    }
    plane.pipeline.answer = () => Promise.resolve({ answer: tar() as never, seq: 9n, secret: undefined });
    const answer = await plane.ask('GET', '/v1/tenants/acme/bundle', undefined, { as: 'admin' });
    expect([answer.statusCode, answer.headers['content-type'], answer.body]).toEqual([200, 'application/x-tar', 'onetwo']);
  });
});
