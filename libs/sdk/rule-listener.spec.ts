import { EventEmitter, once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KeywardClient } from './client.js';
import { RuleListener } from './rule-listener.js';

/** A replica of which only the event stream is there. */
async function replica() {
  const streams: ServerResponse[] = [];
  const opened = new EventEmitter();
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/v1/tenants/acme/events' ? 200 : 404).flushHeaders();
    streams.push(response);
    opened.emit('stream');
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const client = new KeywardClient({ apiKey: 'kw_platform_x', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  const die = async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  };
  return { client, streams, opened, die };
}
function aHolder() {
  const wiped = new EventEmitter();
  return { wipe: (tenant?: string) => void wiped.emit('wipe', tenant), next: () => once(wiped, 'wipe') };
}

it('wipes when the stream begins, and at every change, however it is cut into pieces', async () => {
  const { client, streams, die } = await replica();
  const holder = aHolder();
  const begun = holder.next();
  const listener = new RuleListener([client], 'acme', [holder]);
  expect(await begun).toEqual(['acme']);
  let changed = holder.next();
  streams[0]!.write(': alive\n\nevent: changed\ndata: {}\n\n');
  await changed;
  changed = holder.next();
  streams[0]!.write('event: cha');
  streams[0]!.write('nged\ndata: {}\n\n');
  await changed;
  await listener.close();
  await die();
});

it('goes to another replica when one dies, and wipes for what it missed', async () => {
  const [first, second] = [await replica(), await replica()];
  const holder = aHolder();
  const begun = holder.next();
  const listener = new RuleListener([first.client, second.client], 'acme', [holder]);
  await begun;
  const [moved, again] = [once(second.opened, 'stream'), holder.next()];
  await first.die();
  await Promise.all([moved, again]);
  await listener.close();
  await second.die();
});

it('wipes again and again while the stream is silent, and tries another', async () => {
  const { client, streams, die } = await replica();
  const holder = aHolder();
  const listener = new RuleListener([client], 'acme', [holder], { silenceMs: 50 });
  for (let wipes = 0; wipes < 4; wipes++) await holder.next();
  expect(streams.length).toBeGreaterThan(1);
  await listener.close();
  await die();
});
