import { type Cast, INVOICES, PURPOSE } from './cast.js';
import { mustBeRefused, recordOf, same } from './expectation.js';
import { milliseconds, narrate } from './narrate.js';

/** The customer's emergency brake. */
export async function stopAndLift({ acme, auditor, billing }: Cast): Promise<void> {
  narrate.step(5, "acme's admin stops billing, then lifts the stop");
  const work = () => billing.encrypt({ tenant: 'acme', keyId: INVOICES, plaintext: Buffer.from('an invoice'), context: PURPOSE });
  const last = await work();
  narrate.line('billing works');

  const started = performance.now();
  const stop = await acme.admin.stop('acme', { target: { scope: 'service', service: 'billing' }, reason: 'incident 7' });
  narrate.line(`${stop.stopId}: the stop returned after ${milliseconds(performance.now() - started)}`);
  const { receipt } = stop;
  same('the last use that the receipt names', receipt?.lastAllowed?.seq ?? 'none', last.record);
  narrate.checked(
    `its receipt: record ${receipt?.seq} of acme's log; the last use before it is record ${receipt?.lastAllowed?.seq}, answers until ${receipt?.answersUntil}`,
  );
  const record = await mustBeRefused({ what: 'the very next call', attempt: work, code: 'stopped', reason: 'stopped' }, auditor);
  same('the stop that the record names', record.authz?.stopId ?? 'none', stop.stopId);

  await acme.admin.lift('acme', stop.stopId);
  const again = await work();
  same('the record after the lift', (await recordOf(auditor, again.requestId)).outcome, 'succeeded');
  narrate.checked(`lifted: billing works again (record ${again.record})`);
}
