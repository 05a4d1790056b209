import fc from 'fast-check';
import { KeywardError } from '../errors.js';
import { Sealed } from '../sealed.js';
import { Customer } from './test/customer.js';
import { SealingWorld } from './test/sealing-world.js';

let world: SealingWorld;
beforeAll(async () => {
  world = await SealingWorld.start();
}, 120_000);
afterAll(async () => await world?.stop());
beforeEach(async () => await world.begin());
afterEach(async () => await world.end());

const TENANTS = ['acme', 'globex'] as const;
const ROWS = 4;

/** What a person or the world does next. */
const step = fc.oneof(
  fc.record({ does: fc.constant('note' as const), row: fc.nat(ROWS - 1), note: fc.string({ unit: 'grapheme-ascii', maxLength: 5 }) }),
  fc.record({ does: fc.constant('iban' as const), row: fc.nat(ROWS - 1), iban: fc.option(fc.constantFrom('DE1', 'DE2', 'DE3')) }),
  fc.record({ does: fc.constant('copy' as const), row: fc.nat(ROWS - 1), from: fc.nat(ROWS - 1) }),
  fc.record({ does: fc.constant('rewrite' as const), row: fc.nat(ROWS - 1) }),
  fc.record({ does: fc.constant('refuse' as const), tenant: fc.constantFrom(...TENANTS), code: fc.constantFrom('stopped', 'unavailable') }),
  fc.record({ does: fc.constant('allow' as const) }),
);

/**
 * The model: what each row's IBAN is. Whatever happens in whatever order, the stored row opens to it once Keyward answers, and a save that
 * was refused has changed nothing.
 */
it('nothing that is sealed is ever lost or mixed up, whatever is saved while it can or cannot be opened', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 20 }), async (steps) => {
      const { manager } = world.source;
      await world.source.query('delete from customer');
      world.plane.script = () => undefined;
      const tenantOf = (row: number) => TENANTS[row % 2]!;
      const made = await manager.save(
        Array.from({ length: ROWS }, (_, row) => world.customer({ tenant: tenantOf(row), iban: Sealed.of(`DE-${row}`) })),
      );
      const model = made.map(({ iban }) => iban?.value ?? null);
      const load = async (row: number) => await world.loaded(made[row]!.id);
      const saving = async (row: number, change: (customer: Customer) => Promise<unknown> | void, after: () => string | null) => {
        const before = await world.raw(made[row]!.id);
        try {
          const customer = await load(row);
          await change(customer);
          await manager.save(customer);
          model[row] = after();
        } catch (error) {
          expect(error).toBeInstanceOf(KeywardError);
          expect(await world.raw(made[row]!.id)).toEqual(before);
        }
      };

      for (const next of steps) {
        if (next.does === 'refuse') {
          const { tenant, code } = next;
          const status = code === 'stopped' ? 403 : 503;
          world.plane.script = (asked, response) => (asked.tenant === tenant ? world.plane.problem(response, code, status) : undefined);
          world.sealing.wipe();
        } else if (next.does === 'allow') {
          world.plane.script = () => undefined;
        } else if (next.does === 'note') {
          const before = await world.raw(made[next.row]!.id);
          await saving(
            next.row,
            (customer) => void (customer.note = next.note),
            () => model[next.row]!,
          );
          // Never refused, and nothing else written.
          const after = await world.raw(made[next.row]!.id);
          expect(after).toEqual({ ...before, note: next.note, revision: after['revision'] });
        } else if (next.does === 'iban') {
          const set = (customer: Customer) => void (customer.iban = next.iban === null ? null : Sealed.of(next.iban));
          await saving(next.row, set, () => next.iban);
        } else if (next.does === 'copy') {
          const take = async (customer: Customer) => void (customer.iban = (await load(next.from)).iban);
          await saving(next.row, take, () => model[next.from]!);
        } else {
          const before = await world.raw(made[next.row]!.id);
          const customer = await load(next.row);
          await manager.delete(Customer, { id: customer.id });
          await manager.save(customer);
          expect(await world.raw(customer.id)).toMatchObject({ name: before['name'], iban: before['iban'] });
        }
      }

      world.plane.script = () => undefined;
      world.sealing.wipe();
      for (let row = 0; row < ROWS; row++) {
        const { name, iban } = await load(row);
        expect([name.value, iban?.value ?? null]).toEqual(['Ada', model[row]]);
      }
    }),
    { numRuns: 15 },
  );
}, 240_000);

it('one new value given to two rows is sealed for each of them', async () => {
  const iban = Sealed.of('DE02');
  const both = await world.source.manager.save([world.customer({ iban }), world.customer({ iban })]);
  const [one, other] = await Promise.all(both.map(({ id }) => world.raw(id)));
  expect(one!['iban']!.equals(other!['iban']!)).toBe(false);
  for (const { id } of both) expect((await world.loaded(id)).iban!.value).toBe('DE02');
});
