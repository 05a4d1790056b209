import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { In, IsNull, QueryFailedError } from 'typeorm';
import { DecryptFailed, InvalidCall, Stopped } from '../errors.js';
import { Sealed } from '../sealed.js';
import { Customer, Order } from './test/customer.js';
import { SealingWorld } from './test/sealing-world.js';

let world: SealingWorld;
beforeAll(async () => {
  world = await SealingWorld.start();
}, 120_000);
afterAll(async () => await world?.stop());
beforeEach(async () => await world.begin());
afterEach(async () => await world.end());

const many = (count: number, more: (i: number) => Partial<Customer> = () => ({})) =>
  world.source.manager.save(Array.from({ length: count }, (_, i) => world.customer(more(i))));
const stop = (tenant?: string) => {
  world.plane.script = (asked, response) =>
    tenant === undefined || asked.tenant === tenant ? world.plane.problem(response, 'stopped', 403) : undefined;
  world.sealing.wipe();
};
const lift = () => {
  world.plane.script = () => undefined;
};

describe('what is saved', () => {
  it('is encrypted in the database and comes back, whatever its type', async () => {
    const address = { street: 'Ring 1', floors: [1, 2] };
    const { id } = await world.saved({ address: Sealed.of(address), passport: Sealed.of(Buffer.from([0, 255, 7])) });
    const row = await world.raw(id);
    for (const column of ['name', 'iban', 'address', 'passport']) expect(row[column]!.subarray(0, 4)).toEqual(Buffer.from('KF\x01\x01'));
    const back = await world.loaded(id);
    expect([back.name.value, back.iban!.value, back.address!.value]).toEqual(['Ada', 'DE02 1001', address]);
    expect([...back.passport!.value]).toEqual([0, 255, 7]);
  });

  it('binds tenant, field, class and row, and asks for a key as the column says', async () => {
    await world.saved({ address: Sealed.of({ street: 'Ring 1', floors: [] }) });
    const items = world.plane.asked.flatMap(({ body }) => (body['items'] as object[] | undefined) ?? [body as object]);
    expect(items).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ keyId: 'alias/customers', encryptionContext: { field: 'customer.name', dataClass: 'identity' } }),
        expect.objectContaining({ keyId: 'alias/customers', encryptionContext: { field: 'customer.iban', dataClass: 'payment' } }),
        expect.objectContaining({ keyId: 'alias/addresses', encryptionContext: { field: 'customer.address' } }),
      ]),
    );
  });

  it('goes around for any value', async () => {
    const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as never);
    await fc.assert(
      fc.asyncProperty(json, fc.uint8Array({ maxLength: 300 }), async (value, bytes) => {
        const { id } = await world.saved({ address: Sealed.of(value), passport: Sealed.of(Uint8Array.from(bytes)) });
        const back = await world.loaded(id);
        expect([back.address!.value, [...back.passport!.value]]).toEqual([value, [...bytes]]);
      }),
      { numRuns: 20 },
    );
  });

  it('stays open in the entity that was saved, and is not encrypted again by the next save', async () => {
    const customer = await world.saved();
    const before = await world.raw(customer.id);
    expect(customer.name.value).toBe('Ada');
    await world.source.manager.save(Object.assign(customer, { note: 'called' }));
    expect(await world.raw(customer.id)).toEqual({ ...before, note: 'called', revision: 2 });
  });

  it('asks for one data key a field for many rows', async () => {
    await many(50);
    const asked = world.plane.asked.flatMap(({ operation, body }) => (operation.includes('batch') ? (body['items'] as unknown[]) : [body]));
    // Of the name, the IBAN, and the IBAN's index key, which is then opened.
    expect(asked).toHaveLength(4);
  });

  it('never stands readable in a statement, a log or an error', async () => {
    world.statements.length = 0;
    const { id } = await world.saved({ iban: Sealed.of('SECRET-IBAN') });
    await world.loaded(id);
    stop();
    const failed = await world.saved({ iban: Sealed.of('SECRET-IBAN') }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(Stopped);
    const told = [...world.statements, String(failed), JSON.stringify(failed), JSON.stringify(await world.loaded(id))].join('\n');
    expect(told).toContain('INSERT INTO "customer"');
    expect(told).not.toContain('SECRET');
  });

  it('is erased by null, with its index', async () => {
    const customer = await world.saved();
    await world.source.manager.save(Object.assign(customer, { iban: null }));
    expect(await world.raw(customer.id)).toMatchObject({ iban: null, ibanIndex: null });
    expect((await world.loaded(customer.id)).iban).toBeNull();
  });

  it('is changed by a new value, with its index', async () => {
    const customer = await world.saved();
    const before = await world.raw(customer.id);
    const loaded = await world.loaded(customer.id);
    await world.source.manager.save(Object.assign(loaded, { iban: Sealed.of('DE99') }));
    const after = await world.raw(customer.id);
    expect([after['name'], after['iban']!.equals(before['iban']!), after['ibanIndex']!.equals(before['ibanIndex']!)]).toEqual([
      before['name'],
      false,
      false,
    ]);
    expect((await world.loaded(customer.id)).iban!.value).toBe('DE99');
  });

  it('is saved again after a save that failed', async () => {
    stop();
    const customer = world.customer();
    await expect(world.source.manager.save(customer)).rejects.toThrow(Stopped);
    lift();
    await world.source.manager.save(customer);
    expect((await world.loaded(customer.id)).iban!.value).toBe('DE02 1001');
  });

  it('works in a transaction, on one connection, and with a cascade', async () => {
    const number = 7;
    await world.source.transaction(async (manager) => {
      const customer = world.customer();
      customer.orders = [manager.create(Order, { tenant: 'acme', number, text: Sealed.of('1 book') })];
      await manager.save(customer);
    });
    const [found] = await world.source.manager.find(Customer, { relations: { orders: true } });
    expect(found!.orders[0]!.text.value).toBe('1 book');
  });
});

describe('a list', () => {
  it('is opened with one request a tenant, relations too', async () => {
    // Each row of another process: data keys of their own.
    for (let i = 0; i < 12; i++) {
      world.sealing.wipe();
      const tenant = i % 3 === 0 ? 'globex' : 'acme';
      const customer = world.customer({ tenant, name: Sealed.of(`name ${i}`) });
      customer.orders = [world.source.manager.create(Order, { tenant, number: i, text: Sealed.of(`order ${i}`) })];
      await world.source.manager.save(customer);
    }
    world.sealing.wipe();
    world.plane.asked.length = 0;
    const found = await world.source.manager.find(Customer, { relations: { orders: true } });
    expect(found.map(({ name }) => name.value).sort()).toEqual(Array.from({ length: 12 }, (_, i) => `name ${i}`).sort());
    expect(found.every(({ orders }) => orders[0]!.text.isOpen)).toBe(true);
    expect(world.plane.asked.map(({ path }) => path).sort()).toEqual([
      '/v1/tenants/acme/decrypt/batch',
      '/v1/tenants/globex/decrypt/batch',
    ]);
  });

  it('does not break by one bad row, nor by a stopped tenant', async () => {
    const [bad, ...good] = await many(4);
    const theirs = await world.saved({ tenant: 'globex' });
    await world.source.query(`update customer set iban = set_byte(iban, 170, get_byte(iban, 170) # 1), name = 'KF' where id = $1`, [
      bad!.id,
    ]);
    const reasons = async () =>
      (await world.source.manager.find(Customer)).map(({ id, name, iban }) => [id, name.reason, iban!.reason] as const).sort();
    const all = (reason: string | undefined) => good.map(({ id }) => [id, reason, reason]);
    expect(await reasons()).toEqual([[bad!.id, 'corrupt', 'corrupt'], ...all(undefined), [theirs.id, undefined, undefined]].sort());
    stop('acme');
    expect(await reasons()).toEqual([[bad!.id, 'corrupt', 'stopped'], ...all('stopped'), [theirs.id, undefined, undefined]].sort());
    lift();
    expect(await reasons()).toEqual([[bad!.id, 'corrupt', 'corrupt'], ...all(undefined), [theirs.id, undefined, undefined]].sort());
  });

  it('on demand is not opened, until it is asked to, and then with one request', async () => {
    await world.end();
    await world.begin({ opening: 'on-demand' });
    for (let i = 0; i < 3; i++) {
      await world.saved();
      world.sealing.wipe();
    }
    world.plane.asked.length = 0;
    const found = await world.source.manager.find(Customer);
    expect([found[0]!.iban!.reason, world.plane.asked.length]).toEqual(['unopened', 0]);
    await world.sealing.openAll(found.map(({ iban }) => iban));
    expect([found.map(({ iban }) => iban!.value), world.plane.asked.length]).toEqual([Array(3).fill('DE02 1001'), 1]);
    expect(await found[0]!.name.open()).toBe('Ada');
  });
});

describe('what cannot be opened now', () => {
  it.each<[string, () => void]>([
    ['stopped', () => stop()],
    ['unavailable', () => void world.plane.close()],
  ])('%s: saves back byte by byte when another column changes', async (reason, begin) => {
    const { id } = await world.saved();
    const before = await world.raw(id);
    begin();
    world.sealing.wipe();
    const customer = await world.loaded(id);
    expect([customer.name.reason, customer.iban!.reason]).toEqual([reason, reason]);
    await world.source.manager.save(Object.assign(customer, { note: 'called' }));
    expect(await world.raw(id)).toEqual({ ...before, note: 'called', revision: 2 });
  });

  it('goes back byte by byte also where the row is written anew', async () => {
    const { id } = await world.saved();
    const before = await world.raw(id);
    stop();
    const customer = await world.loaded(id);
    await world.source.manager.delete(Customer, { id });
    await world.source.manager.save(customer);
    expect(await world.raw(id)).toMatchObject({ name: before['name'], iban: before['iban'] });
  });

  it('does not go to another row: there it could never be opened', async () => {
    const { id } = await world.saved();
    stop();
    const { iban } = await world.loaded(id);
    lift();
    const other = world.customer({ iban });
    await expect(world.source.manager.save(other)).rejects.toThrow(Stopped);
    await iban!.open();
    await world.source.manager.save(other);
    expect((await world.loaded(other.id)).iban!.value).toBe('DE02 1001');
    expect((await world.loaded(id)).iban!.value).toBe('DE02 1001');
  });
});

describe('is refused, told, and nothing written:', () => {
  const refused: [string, (id: string) => Promise<unknown>, string][] = [
    ['a plain string', (id) => world.source.manager.save(world.customer({ id, iban: 'DE02' as never })), 'iban: takes a Sealed value'],
    ['a string in a condition', () => world.source.manager.findBy(Customer, { iban: 'DE02' as never }), 'use its blind index'],
    ['an update by query', (id) => world.source.manager.update(Customer, { id }, { iban: Sealed.of('DE02') }), 'save() it'],
    [
      'a change of tenant by query',
      (id) => world.source.manager.update(Customer, { id }, { tenant: 'globex' }),
      'tenant: cannot be changed',
    ],
    [
      'a change of tenant',
      async (id) => await world.source.manager.save(Object.assign(await world.loaded(id), { tenant: 'globex' })),
      'cannot go to another tenant',
    ],
    ['a row without a tenant', () => world.saved({ tenant: undefined as never }), 'names no tenant'],
    ['a row without a primary key', () => world.saved({ id: undefined as never }), 'set it before you save'],
    ['undefined inside', () => world.saved({ address: Sealed.of(undefined as never) }), 'JSON cannot say'],
    [
      'a save past the subscriber',
      () => world.source.manager.save(world.customer(), { listeners: false }),
      'was not encrypted: it must not be stored',
    ],
    [
      'an update past the subscriber',
      (id) =>
        world.source.manager
          .createQueryBuilder()
          .update(Customer)
          .set({ iban: Sealed.of('DE02') })
          .where({ id })
          .callListeners(false)
          .execute(),
      'was not encrypted: it must not be stored',
    ],
  ];
  it.each(refused)('%s', async (_, attempt, message) => {
    const { id } = await world.saved();
    const before = await world.source.query('select * from customer');
    await expect(attempt(id)).rejects.toThrow(message);
    const error = await attempt(id).catch((thrown: unknown) => thrown);
    expect(error instanceof QueryFailedError ? error.driverError : error).toBeInstanceOf(InvalidCall);
    expect(await world.source.query('select * from customer')).toEqual(before);
  });

  it('nulls, and what is no encrypted column, may be updated by query', async () => {
    const { id } = await world.saved();
    await world.source.manager.update(Customer, { id }, { note: 'x', iban: null });
    expect(await world.raw(id)).toMatchObject({ note: 'x', iban: null, ibanIndex: null });
    expect(await world.source.manager.countBy(Customer, { iban: IsNull() })).toBe(1);
  });
});

describe('beside save and find', () => {
  it('insert by query encrypts, and takes an index', async () => {
    const id = randomUUID();
    const row = { id, tenant: 'acme', name: Sealed.of('Bob'), iban: Sealed.of('DE77'), revision: 1 };
    await world.source.manager.insert(Customer, row);
    expect((await world.loaded(id)).iban!.value).toBe('DE77');
    expect((await world.raw(id))['ibanIndex']).toHaveLength(18);
  });

  it('create, merge and preload carry sealed values', async () => {
    const repository = world.source.getRepository(Customer);
    const { id } = await repository.save(repository.create({ id: randomUUID(), tenant: 'acme', name: Sealed.of('Eve') }));
    const preloaded = await repository.preload({ id, iban: Sealed.of('DE55') });
    await repository.save(repository.merge(preloaded!, { passport: Sealed.of(Buffer.from('scan')) }));
    const { name, iban, passport } = await world.loaded(id);
    expect([name.value, iban!.value, Buffer.from(passport!.value).toString()]).toEqual(['Eve', 'DE55', 'scan']);
  });

  it('upsert leaves a row that opens, since it writes the primary key with the values', async () => {
    await world.source.query('create unique index on customer (tenant, note)');
    const upsert = async (iban: string) => {
      const row = { id: randomUUID(), tenant: 'acme', note: 'unique', name: Sealed.of('Ada'), iban: Sealed.of(iban), revision: 1 };
      await world.source.getRepository(Customer).upsert(row, ['tenant', 'note']);
    };
    await upsert('DE1');
    await upsert('DE2');
    expect((await world.source.manager.find(Customer)).map(({ iban }) => iban!.value)).toEqual(['DE2']);
  });

  it('a partial select opens what came with tenant and id, and says of the rest that it was not', async () => {
    const { id } = await world.saved();
    const select = async (columns: object) => await world.source.manager.findOneOrFail(Customer, { where: { id }, select: columns });
    expect((await select({ id: true, tenant: true, iban: true })).iban!.value).toBe('DE02 1001');
    const alone = (await select({ id: true, iban: true })).iban!;
    expect(alone.reason).toBe('unopened');
    await expect(alone.open()).rejects.toThrow('were not selected');
  });

  it('a value that was copied to another row by SQL does not open there', async () => {
    const [one, other] = await many(2);
    await world.source.query('update customer set iban = (select iban from customer where id = $1) where id = $2', [one!.id, other!.id]);
    const { iban } = await world.loaded(other!.id);
    expect(iban!.reason).toBe('corrupt');
    await expect(iban!.open()).rejects.toThrow(DecryptFailed);
  });

  it('finds nothing amiss in entities of others, nor in an empty list', async () => {
    expect(await world.source.manager.findBy(Customer, { id: In([]) })).toEqual([]);
  });
});
