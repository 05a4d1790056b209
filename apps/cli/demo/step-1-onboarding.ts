import { trailRecord } from '#contract';
import { KeywardAdmin, KeywardClient, type Proof } from '#sdk';
import { readCredentials } from '../credentials-file.js';
import type { Cast, Reader, Stage } from './cast.js';
import { mustBeUnauthenticated, NotAsExpected, same } from './expectation.js';
import { narrate } from './narrate.js';

/** Who is who: an operator, two tenants with an admin each, an auditor, a service. */
export async function onboarding({ platform }: Stage): Promise<Cast> {
  narrate.step(1, 'The operator onboards two tenants and registers the service billing');
  const { keyPlane, auditor, dataPlanes } = platform.urls;
  const as = (tenant: string, proof: Proof): Reader => ({ tenant, admin: new KeywardAdmin({ ...proof, keyPlane, auditor }) });
  const operator = as('platform', readCredentials(platform.credentialsFile).proof).admin;

  const acme = await tenant(operator, as, 'acme', 'Acme Ltd');
  const globex = await tenant(operator, as, 'globex', 'Globex Corp');

  const issued = await acme.reader.admin.issueCredential('acme', { principal: 'otto', role: 'auditor', expiresInDays: 7 });
  const otto = as('acme', keyIn(issued));
  narrate.line(`acme's admin issued ${issued.credentialId} to its auditor, otto`);
  await recordZeroNames(otto, 'anna', acme.vkey);

  const service = await operator.registerService({ service: 'billing', description: 'writes invoices' });
  const credential = await operator.issueServiceCredential(service.service);
  narrate.line(`the operator registered the service ${service.service} and issued it ${credential.credentialId}`);
  const billing = new KeywardClient({ ...keyIn(credential), url: dataPlanes[0]! });
  return { acme: acme.reader, globex: globex.reader, auditor: otto, acmeVkey: acme.vkey, billing };
}

const ADMINS: Readonly<Record<string, string>> = { acme: 'anna', globex: 'gus' };

async function tenant(operator: KeywardAdmin, as: (tenant: string, proof: Proof) => Reader, name: string, displayName: string) {
  const invited = await operator.onboardTenant({ tenant: name, displayName });
  narrate.line(`${name}: onboarded, with a one-use enrolment code that ends ${invited.expiresAt}`);
  const admin = ADMINS[name] ?? name;
  const withCode = as(name, { apiKey: invited.enrolmentCode }).admin;
  const enrolled = await withCode.enrol(name, { admin });
  same(`${name}: the log key told at onboarding and at enrolment`, enrolled.vkey, invited.vkey);
  await mustBeUnauthenticated('the code a second time', () => withCode.enrol(name, { admin: 'mallory' }));
  narrate.line(`${name}: ${admin} used the code (it is spent now) and holds ${enrolled.credentialId}`);
  return { reader: as(name, { apiKey: enrolled.apiKey }), vkey: enrolled.vkey };
}

/** Neither a person of an identity provider nor a service with a key of its own was asked for: so an API key was answered. */
function keyIn({ credentialId, apiKey }: { credentialId: string; apiKey?: string | undefined }): Proof {
  if (apiKey === undefined) throw new NotAsExpected(credentialId, 'an API key', 'none');
  return { apiKey };
}

/** The log begins with the admin and the key that signs it: neither can be swapped unnoticed later. */
async function recordZeroNames(auditor: Reader, admin: string, vkey: string): Promise<void> {
  const { items, disclosures } = await auditor.admin.listRecords(auditor.tenant, { limit: 1 });
  const first = trailRecord.parse(items[0]);
  same('the first record', first.seq, 0);
  // The name is a personal field: the record has its salted digest, so that it can be erased, and the page tells it as long as it lives.
  const told = [...Object.values(first.change ?? {}), ...disclosures.map(({ value }) => value)];
  for (const expected of [admin, vkey]) if (!told.includes(expected)) throw new NotAsExpected('record 0', expected, JSON.stringify(told));
  narrate.checked(`record 0 of acme's log names its admin (${admin}) and its log key (${vkey.slice(0, vkey.indexOf('+'))})`);
}
