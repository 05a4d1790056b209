import type { AddressInfo } from 'node:net';
import { Invoicing } from './invoicing.js';
import { invoicingServer } from './server.js';
import { settingsOfProcess } from './settings.js';

const settings = settingsOfProcess();
const service = await Invoicing.open(settings);
const server = invoicingServer(service);
server.listen(settings.port, '127.0.0.1', () => {
  console.log(`invoicing: http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    server.close(() => void service.close());
    server.closeAllConnections();
  });
