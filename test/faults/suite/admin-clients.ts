import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../../stories/api.js';
import type { Caller } from './caller.js';
import { type Customer, type FaultWorld, policyOf } from './fault-world.js';

const CLOSED_MS = 150;
const OPEN_MS = 500;
const PAUSE_MS = 50;

/** What is closed, as the checker compares it with what is used. */
export type Wall =
  | { readonly of: 'everything' | 'policy' }
  | { readonly of: 'service'; readonly service: string }
  | { readonly of: 'key'; readonly keyId: string }
  | { readonly of: 'context' }
  | { readonly of: 'credential'; readonly credentialId: string };

type Request = [op: string, method: string, path: string, body?: unknown, headers?: Record<string, string>];

/** A person, or the operator, with a ledger. */
class Person {
  constructor(
    readonly caller: Caller,
    private readonly base: string,
    private readonly apiKey: string,
    private readonly tenant: string,
    private readonly by: string,
  ) {}

  async ask([op, method, path, body, headers]: Request, about: object = {}): Promise<Answer | undefined> {
    const question = { op, tenant: this.tenant, by: this.by, about: { ...about } };
    return await this.caller.call(question, [this.base, this.apiKey, method, path, body, headers], told);
  }

  /**
   * Until somebody says yes, or no for good. Changes may then have been made twice: these are such as may be.
   * @throws Error when patience is over
   */
  async insist(request: () => Promise<Request> | Request, about: object = {}): Promise<Answer> {
    for (;;) {
      if (this.caller.isImpatient) throw new Error('Patience is over.');
      const answer = await this.ask(await request(), about);
      if (answer !== undefined && answer.status !== 503 && answer.status !== 429 && answer.status !== 412) return answer;
      await sleep(PAUSE_MS);
    }
  }
}

const TOLD = ['code', 'keyId', 'primaryVersion', 'stopId', 'credentialId', 'alias', 'version', 'state'];

/** Names and numbers of an answer; never a credential. */
const told = ({ body }: Answer) => Object.fromEntries(TOLD.flatMap((name) => (name in body ? [[name, body[name]]] : [])));

/** One of the ways to close something, and to open it again whatever became of the closing. */
interface Door {
  close(): Request | Promise<Request>;
  /** `closed`: what the closing was answered, if it was. */
  open(person: Person, about: object, closed: Answer | undefined): Promise<unknown>;
  readonly wall: Wall;
}

/** Changes what is allowed, again and again, and makes things meanwhile. When it is over everything is open. */
export async function admin(
  world: FaultWorld,
  caller: Caller,
  customer: Customer,
  random: () => number,
  isOver: () => boolean,
): Promise<void> {
  const { name } = customer;
  const path = (rest: string) => `/v1/tenants/${name}${rest}`;
  const person = new Person(caller, world.onboarded.platform.urls.keyPlane, customer.admin, name, `${name}-admin`);
  const doors = doorsOf(customer, person, path);
  for (let turn = 0; !isOver(); turn++) {
    await sleep(random() * OPEN_MS);
    const door = doors[Math.floor(random() * doors.length)]!;
    const pair = `${name}-${turn}-${Math.round(caller.elapsed())}`;
    const closed = await person.ask(await door.close(), { pair, closes: door.wall });
    await sleep(random() * CLOSED_MS);
    await door.open(person, { pair, opens: door.wall }, closed);
    await makeSomething(person, customer, path, random);
  }
}

/** After everything: what an unanswered call closed late is opened, too. */
export async function openEverything(world: FaultWorld, caller: Caller, customer: Customer): Promise<void> {
  const path = (rest: string) => `/v1/tenants/${customer.name}${rest}`;
  const person = new Person(caller, world.onboarded.platform.urls.keyPlane, customer.admin, customer.name, `${customer.name}-admin`);
  await liftAll(person, path, {});
  for (const { wall, open } of doorsOf(customer, person, path))
    if (wall.of === 'key' || wall.of === 'policy') await open(person, {}, undefined);
}

function doorsOf({ keyId, rotating, service }: Customer, person: Person, path: (rest: string) => string): Door[] {
  const stopOf = (wall: Wall, target: object): Door => ({
    wall,
    close: () => ['Stop', 'POST', path('/stops'), { target }],
    open: (_, about, closed) =>
      closed?.status === 201 ? lift(person, path, String(closed.body['stopId']), about) : liftAll(person, path, about),
  });
  const keyDoor = (id: string): Door => ({
    wall: { of: 'key', keyId: id },
    close: () => ['DisableKey', 'POST', path(`/keys/${id}/disable`)],
    open: (_, about) => person.insist(() => ['EnableKey', 'POST', path(`/keys/${id}/enable`)], about),
  });
  const publication = async (document: object): Promise<Request> => {
    const { headers } = await person.insist(() => ['GetPolicy', 'GET', path('/policy')]);
    return ['PutPolicy', 'PUT', path('/policy'), document, { 'if-match': headers.get('etag')! }];
  };
  const open = policyOf(service);
  return [
    stopOf({ of: 'everything' }, { scope: 'everything' }),
    stopOf({ of: 'service', service }, { scope: 'service', service }),
    stopOf({ of: 'key', keyId }, { scope: 'key', keyId }),
    stopOf({ of: 'context' }, { scope: 'context', name: 'purpose', value: 'invoice' }),
    keyDoor(keyId),
    keyDoor(rotating[0]!),
    {
      wall: { of: 'policy' },
      close: () => publication({ ...open, grants: [] }),
      open: (_, about) => person.insist(() => publication(open), about),
    },
  ];
}

/** Whatever was stopped, by an answered call or by one that was not. */
async function liftAll(person: Person, path: (rest: string) => string, about: object): Promise<void> {
  for (let cursor = ''; ; ) {
    const { body } = await person.insist(() => ['ListStops', 'GET', path(`/stops?limit=100${cursor}`)]);
    for (const { stopId, liftedAt } of body['items'] as { stopId: string; liftedAt?: string }[])
      if (liftedAt === undefined) await lift(person, path, stopId, about);
    const next = body['nextCursor'];
    if (typeof next !== 'string') return;
    cursor = `&cursor=${encodeURIComponent(next)}`;
  }
}

const lift = (person: Person, path: (rest: string) => string, stopId: string, about: object) =>
  person.insist(() => ['Lift', 'DELETE', path(`/stops/${stopId}`)], about);

/** What is made once is not asked for again: whether an unanswered call was carried out is the checker's question. */
async function makeSomething(person: Person, { keyId, name }: Customer, path: (rest: string) => string, random: () => number) {
  const draw = random();
  if (draw < 0.3) await person.ask(['CreateKeyVersion', 'POST', path(`/keys/${keyId}/versions`), {}]);
  else if (draw < 0.5) await person.ask(['CreateKey', 'POST', path('/keys'), {}]);
  else if (draw < 0.7) {
    const alias = `alias/${name}-${Math.floor(random() * 1e9)}`;
    const made = await person.ask(['CreateAlias', 'POST', path('/aliases'), { alias, keyId }], { alias });
    if (made?.status === 201 && random() < 0.5)
      await person.ask(['DeleteAlias', 'DELETE', path(`/aliases?alias=${encodeURIComponent(alias)}`)], { alias });
  } else if (draw < 0.8) {
    const made = await person.ask(['CreateKey', 'POST', path('/keys'), {}]);
    const doomed = made?.body['keyId'];
    if (typeof doomed === 'string')
      await person.ask(['ScheduleKeyDeletion', 'POST', path(`/keys/${doomed}/schedule-deletion`), { pendingDays: 7 }], { keyId: doomed });
  }
}

/** Gives each service a new credential, and then takes the old one away. */
export async function operator(world: FaultWorld, caller: Caller, random: () => number, isOver: () => boolean): Promise<void> {
  const { platform, operator: apiKey } = world.onboarded;
  const person = new Person(caller, platform.urls.keyPlane, apiKey, 'platform', 'operator');
  const customers = Object.values(world.customers);
  for (let turn = 0; !isOver(); turn++) {
    await sleep(random() * 2 * OPEN_MS);
    const customer = customers[turn % customers.length]!;
    const path = `/v1/services/${customer.service}/credentials`;
    const issued = await person.ask(['IssueServiceCredential', 'POST', path, {}]);
    if (issued?.status !== 201) continue;
    const old = customer.credential;
    customer.credential = { apiKey: String(issued.body['apiKey']), credentialId: String(issued.body['credentialId']) };
    const { credentialId } = old;
    customer.retired.push(old);
    const wall: Wall = { of: 'credential', credentialId };
    await person.insist(() => ['RevokeServiceCredential', 'DELETE', `${path}/${credentialId}`], { pair: credentialId, closes: wall });
  }
}
