import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlaneSocket } from './server.js';
import { CODE, messages } from './wire.js';

const frame = (content: Uint8Array) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
};

describe("a plane's socket", () => {
  const folder = mkdtempSync(join(tmpdir(), 'kw-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('wipes an answer that it did not send before its connection was closed', async () => {
    const socketPath = join(folder, 'data', 'data.sock');
    const made = jest.spyOn(Buffer, 'alloc');
    let isAnswered = false;
    const operations = new Map([
      [
        6,
        () => {
          isAnswered = true;
          return [Buffer.from('a data key')];
        },
      ],
    ]);
    const server = new PlaneSocket({ socketPath, operations, codeOf: () => CODE.malformed });
    await server.listen();
    const socket = connect(socketPath).on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    // Both in one piece: the second ends the connection before the first is answered.
    socket.write(Buffer.concat([frame(messages.pack([1, 6, 'acme', []])), frame(Buffer.from('no request'))]));
    await closed;
    await server.close();
    const holding = made.mock.results.filter(({ value }) => Buffer.isBuffer(value) && value.includes('a data key'));
    jest.restoreAllMocks();
    expect([isAnswered, holding.length]).toEqual([true, 0]);
  });
});
