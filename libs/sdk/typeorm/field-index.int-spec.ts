import { Column, Entity, type EntityTarget, type ObjectLiteral, PrimaryColumn } from 'typeorm';
import { InvalidCall, Stopped } from '../errors.js';
import { Sealed } from '../sealed.js';
import { BlindIndexKey } from './blind-index.js';
import { BlindIndex, Encrypted } from './columns.js';
import { Customer, Order } from './test/customer.js';
import { SealingWorld } from './test/sealing-world.js';

let world: SealingWorld;
beforeAll(async () => {
  world = await SealingWorld.start();
}, 120_000);
afterAll(async () => await world?.stop());
beforeEach(async () => await world.begin());
afterEach(async () => await world.end());

const index = () => world.sealing.index(Customer, 'iban');
const found = async (tenant: string, iban: string) =>
  (await world.source.manager.findBy(Customer, await index().equal(tenant, iban))).map(({ id }) => id).sort();
const save = (tenant: string, iban: string | null) => world.saved({ tenant, iban: iban === null ? null : Sealed.of(iban) });
const versions = async () => (await world.source.manager.find(BlindIndexKey)).map(({ tenant, version }) => `${tenant} ${version}`).sort();

describe('a blind index', () => {
  it('finds what is equal once it is normalised, in its own tenant only', async () => {
    const [one, two] = [await save('acme', 'DE02 1001'), await save('acme', 'de021001')];
    await save('acme', 'DE99');
    const theirs = await save('globex', 'DE02 1001');
    expect(await found('acme', 'DE021001')).toEqual([one.id, two.id].sort());
    expect(await found('globex', 'DE02 1001')).toEqual([theirs.id]);
    expect(await found('acme', 'DE0')).toEqual([]);
  });

  it('shows that values of a tenant are equal, and nothing across tenants', async () => {
    const rows = await Promise.all([save('acme', 'DE02'), save('acme', 'DE02'), save('globex', 'DE02')]);
    const [one, two, theirs] = (await Promise.all(rows.map(({ id }) => world.raw(id)))).map((row) => row['ibanIndex']!.toString('hex'));
    expect(one).toBe(two);
    expect(theirs).not.toBe(one);
    expect(one).toMatch(/^0001[0-9a-f]{32}$/);
  });

  it('does not find a value by the one that it has replaced', async () => {
    const { id } = await save('acme', 'DE02');
    world.plane.script = (_asked, response) => world.plane.problem(response, 'unavailable', 503);
    world.sealing.wipe();
    const before = await world.loaded(id);
    world.plane.script = () => undefined;
    await world.source.manager.save(Object.assign(await world.loaded(id), { iban: Sealed.of('DE99') }));

    // Closed, and put back over the newer one.
    world.plane.script = (_asked, response) => world.plane.problem(response, 'unavailable', 503);
    world.sealing.wipe();
    await world.source.manager.save(before);
    world.plane.script = () => undefined;
    expect(await found('acme', 'DE99')).toEqual([]);
    expect(await index().renew('acme')).toEqual({ indexed: 1, closed: 0 });
    expect(await found('acme', 'DE02')).toEqual([id]);
  });

  it('has its key at rest under the tenant’s key only', async () => {
    await save('acme', 'DE02');
    const [{ sealed } = {}] = await world.source.manager.find(BlindIndexKey);
    expect(Buffer.from(sealed!.subarray(0, 3)).toString('latin1')).toBe('KF\x01');
  });

  it('does not search for a stopped tenant, and does again after the lift', async () => {
    const { id } = await save('acme', 'DE02');
    world.plane.script = ({ tenant }, response) => (tenant === 'acme' ? world.plane.problem(response, 'stopped', 403) : undefined);
    world.sealing.wipe('acme');
    await expect(index().equal('acme', 'DE02')).rejects.toThrow(Stopped);
    world.plane.script = () => undefined;
    expect(await found('acme', 'DE02')).toEqual([id]);
  });

  it('makes one key however many begin at once, in this process and another', async () => {
    const other = world.another();
    const searches = [index(), other.index(Customer, 'iban'), index()];
    await Promise.all(searches.map((searched) => searched.equal('acme', 'DE02')));
    expect(await versions()).toEqual(['acme 1']);
    other.close();
  });

  it('is rotated: rows are found before, between and after, and the old key goes last', async () => {
    const old = [await save('acme', 'DE02'), await save('acme', 'DE02')];
    const theirs = await save('globex', 'DE02');
    expect(await index().rotate('acme')).toBe(2);
    const fresh = await save('acme', 'DE02');
    const all = [...old, fresh].map(({ id }) => id).sort();
    expect(await found('acme', 'DE02')).toEqual(all);
    expect(await index().forget('acme')).toBe(0);
    expect(await index().renew('acme')).toEqual({ indexed: 2, closed: 0 });
    expect(await found('acme', 'DE02')).toEqual(all);
    expect(await index().forget('acme')).toBe(1);
    expect(await found('acme', 'DE02')).toEqual(all);
    expect([await versions(), await found('globex', 'DE02')]).toEqual([['acme 2', 'globex 1'], [theirs.id]]);
  });

  it('is renewed for rows from before there was one, and leaves those that cannot be opened', async () => {
    const [plain, bad] = [await save('acme', 'DE02'), await save('acme', 'DE02')];
    await save('acme', null);
    await world.source.query('update customer set "ibanIndex" = null');
    await world.source.query(`update customer set iban = 'KF' where id = $1`, [bad.id]);
    expect(await index().renew('acme')).toEqual({ indexed: 1, closed: 1 });
    expect(await found('acme', 'DE02')).toEqual([plain.id]);
  });

  it('works inside a transaction of the caller', async () => {
    await world.source.transaction(async (manager) => {
      const { id } = await manager.save(world.customer({ iban: Sealed.of('DE02') }));
      const inside = await manager.findBy(Customer, await index().equal('acme', 'DE02', manager));
      expect(inside.map((one) => one.id)).toEqual([id]);
    });
  });

  it('is not there for a property without one', () => {
    expect(() => world.sealing.index(Customer, 'name')).toThrow('name: has no blind index.');
  });
});

describe('columns that do not fit', () => {
  @Entity()
  class Stray {
    @PrimaryColumn('int')
    id!: number;

    @Column('text')
    tenant!: string;

    @BlindIndex({ of: 'nothing' })
    index?: Uint8Array;
  }

  it.each<[string, EntityTarget<ObjectLiteral>[], string]>([
    ['an index of what is not encrypted', [Stray, BlindIndexKey], 'index: indexes nothing, which is not encrypted.'],
    ['an index without a table for its keys', [Customer, Order], 'iban: has a blind index: add BlindIndexKey'],
  ])('are refused when the sealing is made: %s', async (_, entities, message) => {
    await world.end();
    await expect(world.begin({}, entities)).rejects.toThrow(message);
  });

  it.each([3, 33, 1.5])('as an index of %d bytes', (bytes) => {
    expect(() => BlindIndex({ of: 'iban', bytes })({}, 'ibanIndex')).toThrow(InvalidCall);
    expect(() => Encrypted({ as: 'bytes' })({}, 'scan')).not.toThrow();
  });
});
