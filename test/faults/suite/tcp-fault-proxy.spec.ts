import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { TcpFaultProxy } from './tcp-fault-proxy.js';

/** Behind it: whoever sends a line has it back, and the line is noted. */
describe('the TCP fault proxy', () => {
  const received: string[] = [];
  let server: Server;
  let proxy: TcpFaultProxy;
  beforeEach(async () => {
    received.length = 0;
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        received.push(chunk.toString());
        socket.write(chunk);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await TcpFaultProxy.start((server.address() as AddressInfo).port);
  });
  afterEach(async () => {
    await proxy.stop();
    server.close();
  });

  async function client(): Promise<{ readonly socket: Socket; readonly heard: () => string; readonly ended: Promise<unknown> }> {
    const socket = connect(proxy.port, '127.0.0.1');
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    socket.on('error', () => undefined);
    const ended = new Promise((resolve) => socket.once('close', resolve));
    await Promise.race([new Promise((resolve) => socket.once('connect', resolve)), ended]);
    return { socket, heard: () => heard, ended };
  }
  const until = async (holds: () => boolean) => {
    for (const deadline = performance.now() + 20_000; !holds(); await new Promise(setImmediate))
      if (performance.now() > deadline) throw new Error('It did not come to pass.');
  };
  /** Whatever was on its way has arrived: a fresh pair of ends has spoken over the same event loop. */
  const aMoment = () => new Promise((resolve) => setTimeout(resolve, 50));

  async function speaking() {
    const one = await client();
    one.socket.write('a');
    await until(() => one.heard() === 'a');
    return one;
  }

  it('passes both ways, until one end closes', async () => {
    const one = await speaking();
    one.socket.end();
    await one.ended;
    await until(() => proxy.connections === 0);
  });

  it('cuts what there is and what comes, until it is healed', async () => {
    const one = await speaking();
    proxy.begin('cut');
    await one.ended;
    const two = await client();
    await two.ended;
    proxy.heal();
    await speaking();
  });

  it('holds what is under way, and delivers it afterwards', async () => {
    const one = await speaking();
    proxy.begin('held');
    one.socket.write('b');
    await aMoment();
    expect([received, one.heard()]).toEqual([['a'], 'a']);
    proxy.heal();
    await until(() => one.heard() === 'ab');
  });

  it('lets requests pass and their answers not, and then says so', async () => {
    const one = await speaking();
    proxy.begin('deaf');
    one.socket.write('b');
    await until(() => received.join('') === 'ab');
    await aMoment();
    expect(one.heard()).toBe('a');
    proxy.heal();
    await one.ended;
    expect(one.heard()).toBe('a');
  });

  it('leaves the client with half a connection, and serves a new one', async () => {
    const one = await speaking();
    proxy.begin('half-open');
    one.socket.write('b');
    await speaking();
    expect([received, one.heard(), one.socket.destroyed]).toEqual([['a', 'a'], 'a', false]);
    proxy.heal();
    await one.ended;
  });
});
