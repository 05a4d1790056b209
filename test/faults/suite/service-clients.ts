import { setTimeout as sleep } from 'node:timers/promises';
import { type Caller, digestOf, type Item, itemsOf } from './caller.js';
import type { Customer, FaultWorld } from './fault-world.js';

const CLIENTS = 5;
const BATCH = 4;
const CONTEXT = { encryptionContext: { purpose: 'invoice' } };
const KEYS = ['alias/invoices', 'alias/invoices', 'alias/rotating-1', 'alias/rotating-2'];
/** So many of the newest are asked for again. */
const REMEMBERED = 500;

interface Wanted {
  readonly op: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly about: { readonly items: readonly Item[]; readonly foreign?: boolean };
  /** Of the customer whose path it is, where that is another one. */
  readonly tenant?: string;
}

interface Turn {
  readonly own: Customer;
  readonly other: Customer;
  one<Value>(values: readonly Value[]): Value;
  /** An own and a foreign ciphertext that were answered before. */
  kept(whose: 'own' | 'other'): string | undefined;
}

let drawn = 0;
const plaintext = ({ own }: Turn) => Buffer.from(`${own.name} ${own.service} ${drawn++}`).toString('base64');
const sealing = (turn: Turn, bytes = plaintext(turn)) => ({ keyId: turn.one(KEYS), plaintext: bytes, ...CONTEXT });
const opening = (ciphertext = '') => ({ ciphertext, ...CONTEXT });
const many = <Value>(make: () => Value) => Array.from({ length: BATCH }, make);
const about = (...items: readonly Item[]) => ({ items });

/** What services ask for, and how often; undefined where there is nothing yet to ask for. */
const CALLS: readonly (readonly [weight: number, make: (turn: Turn) => Wanted | undefined])[] = [
  [6, (turn) => alone('Encrypt', 'encrypt', sealing(turn))],
  [6, (turn) => alone('Decrypt', 'decrypt', opening(turn.kept('own')))],
  [6, (turn) => alone('GenerateDataKey', 'data-keys', { keyId: turn.one(KEYS), ...CONTEXT })],
  [
    1,
    (turn) =>
      batch(
        'Encrypt',
        'encrypt/batch',
        many(() => sealing(turn)),
      ),
  ],
  [
    1,
    (turn) =>
      batch(
        'Decrypt',
        'decrypt/batch',
        many(() => opening(turn.kept('own'))),
      ),
  ],
  [
    1,
    (turn) =>
      batch(
        'GenerateDataKey',
        'data-keys/batch',
        many(() => ({ keyId: turn.one(KEYS), ...CONTEXT })),
      ),
  ],
  [1, reEncryption],
  // What is another customer's: its ciphertext at home and in a batch with one's own, its key, and its own paths.
  [1, (turn) => foreign(alone('Decrypt', 'decrypt', opening(turn.kept('other'))))],
  [1, (turn) => foreign(batch('Decrypt', 'decrypt/batch', [opening(turn.kept('own')), opening(turn.kept('other'))]))],
  [1, (turn) => foreign(alone('GenerateDataKey', 'data-keys', { keyId: turn.other.keyId, ...CONTEXT }))],
  [1, (turn) => foreign(alone('GenerateDataKey', 'data-keys', { keyId: 'alias/invoices', ...CONTEXT }), turn.other.name)],
  [1, (turn) => foreign(alone('Decrypt', 'decrypt', opening(turn.kept('other'))), turn.other.name)],
];
const DECK = CALLS.flatMap(([weight, make]) => Array.from({ length: weight }, () => make));

interface Asked {
  readonly ciphertext?: string;
  readonly plaintext?: string;
  readonly [field: string]: unknown;
}

const itemOf = ({ ciphertext, plaintext: bytes }: Asked): Item => ({
  ...(ciphertext !== undefined && { ciphertext }),
  ...(bytes !== undefined && { digest: digestOf(bytes) }),
});

function alone(op: string, path: string, body: Asked): Wanted | undefined {
  return body.ciphertext === '' ? undefined : { op, path, body, about: about(itemOf(body)) };
}

function batch(op: string, path: string, items: readonly Asked[]): Wanted | undefined {
  return items.some(({ ciphertext }) => ciphertext === '') ? undefined : { op, path, body: { items }, about: about(...items.map(itemOf)) };
}

const foreign = (wanted: Wanted | undefined, tenant?: string): Wanted | undefined =>
  wanted && { ...wanted, about: { ...wanted.about, foreign: true }, ...(tenant !== undefined && { tenant }) };

function reEncryption(turn: Turn): Wanted | undefined {
  const ciphertext = turn.kept('own');
  if (ciphertext === undefined) return undefined;
  const contexts = { sourceEncryptionContext: CONTEXT.encryptionContext, destinationEncryptionContext: CONTEXT.encryptionContext };
  const body = { ciphertext, destinationKeyId: turn.one(KEYS), ...contexts };
  return { op: 'ReEncrypt', path: 're-encrypt', body, about: about({ ciphertext }) };
}

/** What was answered, by customer. */
type Kept = Readonly<Record<'acme' | 'globex', string[]>>;

/** The services of both customers, each of several clients that ask for one thing after another. Ends when `isOver`, without a call under way. */
export async function serviceClients(world: FaultWorld, caller: Caller, random: () => number, isOver: () => boolean): Promise<void> {
  const { acme, globex } = world.customers;
  const kept: Kept = { acme: [], globex: [] };
  const client = (own: Customer, other: Customer, plane: number) =>
    serviceClient({ world, caller, random, isOver, kept, own, other, plane });
  const pairs = [[acme, globex] as const, [globex, acme] as const];
  await Promise.all(pairs.flatMap(([own, other]) => Array.from({ length: CLIENTS }, (_, index) => client(own, other, index))));
}

interface Client {
  readonly world: FaultWorld;
  readonly caller: Caller;
  readonly random: () => number;
  readonly isOver: () => boolean;
  readonly kept: Kept;
  readonly own: Customer;
  readonly other: Customer;
  readonly plane: number;
}

/** With each client stays one plane, so that a plane that stands still holds its own clients only. */
async function serviceClient({ world, caller, random, isOver, kept, own, other, plane }: Client): Promise<void> {
  const one = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)]!;
  const turn: Turn = { own, other, one, kept: (whose) => one(kept[nameOf(whose === 'own' ? own : other)]) };
  const { dataPlanes } = world.onboarded.platform.urls;
  while (!isOver()) {
    const wanted = one(DECK)(turn);
    if (wanted === undefined) {
      await sleep(5);
      continue;
    }
    const { op, path, body, tenant = own.name } = wanted;
    // Some go on with what was taken from them.
    const { apiKey, credentialId } = own.retired.length > 0 && random() < 0.05 ? one(own.retired) : own.credential;
    const question = { op, tenant, by: own.service, about: { ...wanted.about, credentialId } };
    const answer = await caller.call(
      question,
      [dataPlanes[plane % dataPlanes.length]!, apiKey, 'POST', `/v1/tenants/${tenant}/${path}`, body],
      itemsOf,
    );
    if (answer?.status === 200 && tenant === own.name) {
      const own_ = kept[nameOf(own)];
      own_.push(...itemsOf(answer).items.flatMap(({ ciphertext }) => (ciphertext === undefined ? [] : [ciphertext])));
      own_.splice(0, own_.length - REMEMBERED);
    }
    await sleep(answer === undefined || answer.status === 503 ? 50 : random() * 10);
  }
}

const nameOf = ({ name }: Customer) => name as keyof Kept;
