import { setTimeout as sleep } from 'node:timers/promises';
import { coverageText } from '#sdk/typeorm';
import { Invoicing } from '../invoicing.js';
import { setStage, type Stage } from './platform.js';

/** The example from beginning to end, on a platform of its own, with what happens on stdout. Ends with 0 if all of it went as it should. */
const say = (text: string) => console.log(text);
const stage = await setStage();
const service = await Invoicing.open(stage.settings);
try {
  await play(stage, service);
} finally {
  await service.close();
  await stage.end();
}

async function play({ tenants: { acme } }: Stage, invoicing: Invoicing): Promise<void> {
  say('1. Two tenants, each with its own key in the HSM; the service may use both.');
  const ada = await invoicing.addCustomer('acme', { name: 'Ada', iban: 'DE02 1001 0010 0109 3071 18', phone: '110' });
  const invoice = await invoicing.addInvoice('acme', { customerId: ada.id, cents: 4200, text: 'one analytical engine' });
  await invoicing.addCustomer('globex', { name: 'Bob', iban: 'DE02 1001 0010 0109 3071 18' });
  const [row] = await invoicing.source.query<{ iban: Buffer }[]>('select iban from customer where id = $1', [ada.id]);
  say(`   acme's Ada in the database: iban = ${row!.iban.toString('hex').slice(0, 60)}… (${row!.iban.length} bytes)`);
  await tell(invoicing, 'found by IBAN, through the blind index', 'DE021001001001093071 18');

  say('2. acme stops the service.');
  const { stopId } = await acme.admin.stop('acme', { target: { scope: 'service', service: 'invoicing' } });
  await until(async () => (await invoicing.customers('acme'))[0]!.name.reason === 'stopped');
  await tell(invoicing, 'both tenants now');
  const paid = await invoicing.markPaid('acme', invoice.id);
  say(`   the invoice is marked as paid all the same (paid: ${paid.paid}), its text ${String(paid.text)} goes back as it was`);

  say('3. acme lifts the stop, and rotates its key.');
  await acme.admin.lift('acme', stopId);
  await until(async () => (await invoicing.customers('acme'))[0]!.name.isOpen);
  await acme.admin.createKeyVersion('acme', acme.keyId);
  invoicing.sealing.wipe('acme');
  await invoicing.addCustomer('acme', { name: 'Cleo', iban: 'DE99' });
  await tell(invoicing, 'sealed under the old version and under the new one');

  say('4. What is under which key:');
  say(coverageText(await invoicing.sealing.coverage()));
}

async function tell(invoicing: Invoicing, what: string, iban?: string): Promise<void> {
  for (const tenant of ['acme', 'globex']) {
    const found = await invoicing.customers(tenant, iban);
    say(`   ${tenant}, ${what}: ${found.map(({ name }) => (name.isOpen ? name.value : String(name))).join(', ')}`);
  }
}

/** A stop reaches the service's cache within a second. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let tried = 0; tried < 200; tried++) {
    if (await isSo()) return;
    await sleep(50);
  }
  throw new Error('It did not happen within ten seconds.');
}
