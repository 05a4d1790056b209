import { Sealed } from '../sealed.js';
import { coverageText } from './coverage.js';
import { SealingWorld } from './test/sealing-world.js';
import { KEY_ID, VERSION_ID } from '../test/fake-data-plane.js';

let world: SealingWorld;
beforeAll(async () => {
  world = await SealingWorld.start();
}, 120_000);
afterAll(async () => await world?.stop());
beforeEach(async () => await world.begin());
afterEach(async () => await world.end());

/** The fake's ciphertexts all name this version. */
const VERSION_OF_FAKE = /^kver_[0-9a-z]{26}$/;
const of = async (column: string) => (await world.sealing.coverage()).filter((one) => one.column === column);

describe('the coverage report', () => {
  it('counts what is sealed under whose key, what is not, and what is readable', async () => {
    world.plane.script = (asked, response) =>
      asked.body['dryRun'] === true
        ? asked.tenant === 'globex'
          ? world.plane.problem(response, 'stopped', 403)
          : world.plane.json(response, { dryRun: true, keyId: KEY_ID, keyVersionId: VERSION_ID })
        : undefined;
    await world.source.manager.save([
      world.customer({ phone: '110' }),
      world.customer({ iban: null, phone: '112' }),
      world.customer({ tenant: 'globex' }),
    ]);
    const { id } = await world.saved();
    await world.source.query(`update customer set iban = 'DE02 in the clear' where id = $1`, [id]);

    world.plane.asked.length = 0;
    const sealed = { table: 'customer', state: 'sealed', keyVersionId: expect.stringMatching(VERSION_OF_FAKE) };
    expect(await of('name')).toEqual([
      { ...sealed, column: 'name', dataClass: 'identity', tenant: 'acme', values: 3, keyId: KEY_ID, now: 'open' },
      { ...sealed, column: 'name', dataClass: 'identity', tenant: 'globex', values: 1, keyId: undefined, now: 'stopped' },
    ]);
    expect((await of('iban')).map(({ tenant, state, values }) => [tenant, state, values])).toEqual([
      ['acme', 'sealed', 1],
      ['acme', 'empty', 1],
      ['acme', 'unsealed', 1],
      ['globex', 'sealed', 1],
    ]);
    expect((await of('phone')).map(({ tenant, state, values, dataClass }) => [tenant, state, values, dataClass])).toEqual([
      ['acme', 'empty', 1, 'contact'],
      ['acme', 'readable', 2, 'contact'],
      ['globex', 'empty', 1, 'contact'],
    ]);
    expect(world.plane.asked.filter(({ body }) => body['dryRun'] !== true)).toEqual([]);
  });

  it('as text marks what is under no tenant’s key, and shows no value', async () => {
    await world.saved({ phone: '0123-SECRET', iban: Sealed.of('SECRET') });
    const text = coverageText(await world.sealing.coverage());
    expect(text).toMatch(/^! +customer\.phone +contact +acme +readable +1/m);
    expect(text).toMatch(/^ +customer\.name +identity +acme +sealed +1/m);
    expect(text).not.toContain('SECRET');
  });

  it('is empty where there are no rows', async () => {
    expect(await world.sealing.coverage()).toEqual([]);
  });
});
