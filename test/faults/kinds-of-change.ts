import { setTimeout as sleep } from 'node:timers/promises';
import { INVOICE_POLICY } from '../stories/onboarded.js';
import type { Authority } from './authority.js';
import type { CallShape } from './load.js';
import type { Place } from './places.js';

export interface Changed {
  readonly place: Place;
  /** Of what the passing of time changed: surely not before `from`, surely at `until`; milliseconds of the client's clock. */
  readonly passed?: { readonly from: number; readonly until: number };
}

/** One way in which a yes becomes a no, and a yes again. */
export interface KindOfChange {
  /** What callers do meanwhile, on the data planes or on the key plane. */
  readonly plane: 'data' | 'key';
  readonly op: string;
  call(): CallShape;
  /** Until the call is allowed. */
  prepare?(): Promise<unknown>;
  close(): Promise<Changed>;
  open(): Promise<Changed>;
  /** What was made for this kind alone. */
  end?(): Promise<void>;
}

type Make = (authority: Authority) => KindOfChange;

const [INVOICES] = INVOICE_POLICY.grants;
const CONTEXT = { purpose: 'invoice' };
const ALL = INVOICES!.operations;

/** Each kind of change that there is, by name. */
export const KINDS_OF_CHANGE: Readonly<Record<string, Make>> = {
  'a stop of everything': (authority) => stop(authority, () => ({ scope: 'everything' })),
  'a stop of the service': (authority) => stop(authority, () => ({ scope: 'service', service: 'billing' })),
  'a stop of the key': (authority) => stop(authority, () => ({ scope: 'key', keyId: authority.world.acme.keyId })),
  'a stop of one label': (authority) => stop(authority, () => ({ scope: 'context', name: 'purpose', value: 'invoice' })),

  rule: (authority) => policies(authority, { ...INVOICE_POLICY, grants: [] }, INVOICE_POLICY),
  role: (authority) => {
    const billing = (members: string[]) => ({
      ...INVOICE_POLICY,
      roles: { accounting: members },
      grants: [{ ...INVOICES, subjects: ['role:accounting'] }],
    });
    return policies(authority, billing([]), billing(['svc:billing']));
  },
  'notAfter passing': endingGrant,

  'key state': (authority) => {
    const to = (state: string) => () => ofAcme(authority.admin('POST', `/keys/${authority.world.acme.keyId}/${state}`));
    return { ...dataKeys(authority), close: to('disable'), open: to('enable') };
  },
  'wait for deletion': (authority) => {
    const to = (verb: string) => () => ofAcme(authority.admin('POST', `/keys/${authority.world.acme.keyId}/${verb}-deletion`, {}));
    return { ...dataKeys(authority), close: to('schedule'), open: to('cancel') };
  },
  alias: movedAlias,
  tag: changedTag,

  'credential of a service': serviceCredential,
  'credential of an admin': adminCredential,
  issuer: identityProvider,

  catalogue: (authority) => {
    const path = '/v1/services/billing/catalogue';
    const listed = (operations: readonly string[]) => () => ofPlatform(authority.operator('PUT', path, { operations }));
    return { ...dataKeys(authority), close: listed(ALL.filter((name) => name !== 'GenerateDataKey')), open: listed(ALL) };
  },
  'suspension of the service': (authority) => {
    const to = (verb: string) => () => ofPlatform(authority.operator('POST', `/v1/services/billing/${verb}`, {}));
    return { ...dataKeys(authority), close: to('suspend'), open: to('resume') };
  },
  'suspension of the tenant': (authority) => ({
    ...dataKeys(authority),
    close: () => ofPlatform(authority.operator('PUT', '/v1/suspensions/acme', { reason: 'unpaid' })),
    open: () => ofPlatform(authority.operator('DELETE', '/v1/suspensions/acme')),
  }),
};

const ofPlatform = async (answer: Promise<{ seq: number | undefined }>): Promise<Changed> => ({
  place: { platformSeq: (await answer).seq! },
});
const ofAcme = async (answer: Promise<{ seq: number | undefined }>): Promise<Changed> => ({ place: { seq: (await answer).seq! } });

/** Billing asks for data keys, which the usual policy allows. */
function dataKeys(authority: Authority, keyId = 'alias/invoices', apiKey = () => authority.world.billing) {
  const body = JSON.stringify({ keyId, encryptionContext: CONTEXT });
  return {
    plane: 'data' as const,
    op: 'GenerateDataKey',
    call: () => ({ method: 'POST', path: '/v1/tenants/acme/data-keys', body, apiKey: apiKey() }),
    prepare: (): Promise<unknown> => authority.publish(INVOICE_POLICY),
  };
}

/** A person's change of state that leaves every rule as it is. */
const drafts = (apiKey: () => string) => ({
  plane: 'key' as const,
  op: 'PutPolicyDraft',
  call: () => ({
    method: 'PUT',
    path: '/v1/tenants/acme/policy/draft',
    body: JSON.stringify({ text: JSON.stringify(INVOICE_POLICY) }),
    apiKey: apiKey(),
  }),
});

function stop(authority: Authority, target: () => object): KindOfChange {
  let stopId = '';
  return {
    ...dataKeys(authority),
    close: async () => {
      const made = await authority.admin('POST', '/stops', { target: target() });
      stopId = String(made.body['stopId']);
      return { place: { seq: made.seq! } };
    },
    open: () => ofAcme(authority.admin('DELETE', `/stops/${stopId}`)),
  };
}

function policies(authority: Authority, closed: object, open: object): KindOfChange {
  const published = (policy: object) => () => ofAcme(authority.publish(policy));
  return { ...dataKeys(authority), prepare: published(open), close: published(closed), open: published(open) };
}

/**
 * How long before its own end a grant is published: longer than that takes on a busy machine, for one that has ended by then opens nothing,
 * and would be judged as if it had. And the breadth of the client's doubt about that instant.
 */
const LASTS_MS = 500;
const DOUBT_MS = 2;

function endingGrant(authority: Authority): KindOfChange {
  let end: number | undefined;
  const open = async () => {
    end = Date.now() + LASTS_MS;
    const when = { encryptionContextEquals: CONTEXT, notAfter: new Date(end).toISOString() };
    return await ofAcme(authority.publish({ ...INVOICE_POLICY, grants: [{ ...INVOICES, when }] }));
  };
  return {
    ...dataKeys(authority),
    open,
    close: async () => {
      if (end === undefined) await open();
      const [passes, from] = [end!, performance.now() + (end! - Date.now()) - DOUBT_MS];
      end = undefined;
      while (Date.now() <= passes + DOUBT_MS) await sleep(1);
      return { place: { after: new Date(passes) }, passed: { from, until: performance.now() } };
    },
  };
}

/** Billing names the key; the grant names the alias, which goes to a spare key and comes back. */
function movedAlias(authority: Authority): KindOfChange {
  const { keyId } = authority.world.acme;
  let spare = '';
  const to = (owner: () => string) => () => ofAcme(authority.admin('PUT', '/aliases', { alias: 'alias/invoices', keyId: owner() }));
  return {
    ...dataKeys(authority, keyId),
    prepare: async () => {
      await authority.publish(INVOICE_POLICY);
      spare = String((await authority.admin('POST', '/keys', {})).body['keyId']);
    },
    close: to(() => spare),
    open: to(() => keyId),
  };
}

/** The grant names a tag, which the key loses and gets again. */
function changedTag(authority: Authority): KindOfChange {
  const path = `/keys/${authority.world.acme.keyId}`;
  const on = () => ofAcme(authority.admin('POST', `${path}/tag`, { tags: { class: 'invoices' } }));
  const off = () => ofAcme(authority.admin('POST', `${path}/untag`, { names: ['class'] }));
  return {
    ...dataKeys(authority),
    prepare: async () => {
      await authority.publish({ ...INVOICE_POLICY, grants: [{ ...INVOICES, objects: ['tag:class=invoices'] }] });
      await on();
    },
    close: off,
    open: on,
    end: async () => void (await off()),
  };
}

function serviceCredential(authority: Authority): KindOfChange {
  const path = '/v1/services/billing/credentials';
  let [apiKey, credentialId] = ['', ''];
  const open = async () => {
    const issued = await authority.operator('POST', path, {});
    [apiKey, credentialId] = [String(issued.body['apiKey']), String(issued.body['credentialId'])];
    return { place: { platformSeq: issued.seq! } };
  };
  return {
    ...dataKeys(authority, 'alias/invoices', () => apiKey),
    prepare: () => Promise.all([authority.publish(INVOICE_POLICY), open()]),
    close: () => ofPlatform(authority.operator('DELETE', `${path}/${credentialId}`)),
    open,
  };
}

function adminCredential(authority: Authority): KindOfChange {
  let [apiKey, credentialId] = ['', ''];
  const open = async () => {
    const issued = await authority.admin('POST', '/credentials', { principal: 'temporary', role: 'admin' });
    [apiKey, credentialId] = [String(issued.body['apiKey']), String(issued.body['credentialId'])];
    return { place: { seq: issued.seq! } };
  };
  return {
    ...drafts(() => apiKey),
    prepare: open,
    close: () => ofAcme(authority.admin('DELETE', `/credentials/${credentialId}`)),
    open,
  };
}

/**
 * An admin who signs in at acme's identity provider, which acme changes for another one and back. Each time it is another person:
 * who fails a hundred times has to wait.
 */
function identityProvider(authority: Authority): KindOfChange {
  const { issuer } = authority;
  const audience = 'keyward-acme';
  let [token, people] = ['', 0];
  const vouchedBy = (path: string) => {
    const provider = { issuer: `${issuer.name}${path}`, audience, jwksUri: issuer.jwksUri, algorithms: ['ES256'] };
    return ofAcme(authority.admin('PUT', '/identity-provider', provider));
  };
  const open = async () => {
    const opened = await vouchedBy('');
    const subject = `person-${people++}`;
    await authority.admin('POST', '/credentials', { principal: subject, role: 'admin', subject });
    token = issuer.token({ sub: subject, aud: audience });
    return opened;
  };
  return {
    ...drafts(() => token),
    prepare: open,
    close: () => vouchedBy('/other'),
    open,
    end: async () => void (await authority.admin('DELETE', '/identity-provider')),
  };
}
