import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { EntityNotFoundError } from 'typeorm';
import { z } from 'zod';
import { KeywardError, type Sealed } from '#sdk';
import type { Customer, Invoice } from './entities.js';
import type { Invoicing } from './invoicing.js';

const text = z.string().min(1).max(1000);
const newCustomer = z.strictObject({ name: text, iban: text, phone: text.optional() });
const newInvoice = z.strictObject({ customerId: z.uuid(), cents: z.int().positive(), text });

interface Call {
  readonly tenant: string;
  readonly id: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

/** Method and path, what it does, and the status of its answer. */
const ROUTES: readonly (readonly [RegExp, (service: Invoicing, call: Call) => Promise<unknown>, number])[] = [
  [
    /^GET \/(?<tenant>[^/]+)\/customers$/,
    async (service, { tenant, query }) => (await service.customers(tenant, query.get('iban') ?? undefined)).map(customerView),
    200,
  ],
  [
    /^POST \/(?<tenant>[^/]+)\/customers$/,
    async (service, { tenant, body }) => customerView(await service.addCustomer(tenant, newCustomer.parse(body))),
    201,
  ],
  [/^GET \/(?<tenant>[^/]+)\/invoices$/, async (service, { tenant }) => (await service.invoices(tenant)).map(invoiceView), 200],
  [
    /^POST \/(?<tenant>[^/]+)\/invoices$/,
    async (service, { tenant, body }) => invoiceView(await service.addInvoice(tenant, newInvoice.parse(body))),
    201,
  ],
  [
    /^POST \/(?<tenant>[^/]+)\/invoices\/(?<id>[^/]+)\/paid$/,
    async (service, { tenant, id }) => invoiceView(await service.markPaid(tenant, id)),
    200,
  ],
  [/^GET \/coverage$/, async (service) => await service.sealing.coverage(), 200],
];

/** The API of the example. Whoever may call it may see every tenant: a real service authenticates its users first. */
export function invoicingServer(service: Invoicing): Server {
  return createServer((request, response) => void answer(service, request, response));
}

async function answer(service: Invoicing, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { status, body } = await respond(service, request).catch(failure);
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body));
}

async function respond(service: Invoicing, request: IncomingMessage): Promise<{ status: number; body: unknown }> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const received = Buffer.concat(await request.toArray()).toString();
  for (const [path, work, status] of ROUTES) {
    const groups = path.exec(`${request.method} ${url.pathname}`)?.groups;
    if (groups === undefined && !path.test(`${request.method} ${url.pathname}`)) continue;
    const { tenant = '', id = '' } = groups ?? {};
    return {
      status,
      body: await work(service, { tenant, id, query: url.searchParams, body: received === '' ? undefined : JSON.parse(received) }),
    };
  }
  return { status: 404, body: { error: 'no such route' } };
}

/** A write for a tenant that has stopped us is refused, and says so: that is not our fault, and not an error of the caller's either. */
function failure(error: unknown): { status: number; body: unknown } {
  if (error instanceof KeywardError) return { status: error.retryable ? 503 : 409, body: { error: error.code } };
  if (error instanceof z.ZodError || error instanceof SyntaxError) return { status: 400, body: { error: 'invalid request' } };
  if (error instanceof EntityNotFoundError) return { status: 404, body: { error: 'not found' } };
  return { status: 500, body: { error: 'internal' } };
}

/** What cannot be read now is shown as such: a list with one bad row is still a list. */
const shown = (value: Sealed<string>) => (value.isOpen ? value.value : { sealed: value.reason });

const customerView = ({ id, name, iban, phone }: Customer) => ({ id, name: shown(name), iban: shown(iban), phone });
const invoiceView = ({ id, customer, cents, paid, text: what }: Invoice) => ({
  id,
  customer: shown(customer.name),
  cents,
  paid,
  text: shown(what),
});
