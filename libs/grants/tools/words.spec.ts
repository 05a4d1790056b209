import { alias, DATA_OPERATIONS, keyId, type PolicyDocument, policyDocument, stopId, tenantId } from '#contract';
import type { TenantPolicy } from '#core';
import { policyTools } from './index.js';

const { diff, sentences, whoCan } = policyTools;
const grant = { id: 'a', subjects: ['svc:billing'], objects: ['alias/invoices'], operations: ['@read', '@write'] };
const guardrail = { id: 'no', subjects: ['*'], objects: ['*'], operations: ['@all'] };
const documentOf = (parts: object): PolicyDocument => policyDocument.parse({ schema: 'keyward.policy/1', ...parts });
const withGrant = (parts: object, more: object = {}) => documentOf({ grants: [{ ...grant, ...parts }], ...more });
const weekly = { tz: 'Europe/Berlin', days: ['mon', 'fri'], from: '08:00', to: '18:00' };

describe('the sentence of a rule', () => {
  it.each<[PolicyDocument, string]>([
    [
      withGrant({ when: { encryptionContextEquals: { purpose: 'invoice', tenant: 'acme' } } }),
      'Allow svc:billing to read and write with alias/invoices when labelled exactly purpose=invoice, tenant=acme',
    ],
    [
      withGrant({
        operations: ['GenerateDataKey'],
        objects: ['alias/acme/*', 'tag:a=b'],
        when: { encryptionContextSubset: { kind: 'index', region: ['eu', 'uk'] } },
      }),
      'Allow svc:billing to GenerateDataKey with alias/acme/* or any key tagged a=b when the labels include kind=index, region=eu|uk',
    ],
    [
      withGrant({ when: { encryptionContextEquals: {} } }),
      'Allow svc:billing to read and write with alias/invoices when without any label',
    ],
    [
      withGrant({
        when: { weekly, notAfter: '2026-12-31T00:00:00Z', justification: { anyOf: ['ISV_INCIDENT'], requireTicket: true } },
        limits: { perMinute: 2 },
      }),
      'Allow svc:billing to read and write with alias/invoices when it is 2026-12-31T00:00:00Z or earlier and it is mon or fri from 08:00 until before 18:00 in Europe/Berlin and the reason given is ISV_INCIDENT with a ticket, at most 2 a minute',
    ],
    [
      withGrant({ limits: { perDay: 2 }, lease: { maxAgeSeconds: 60, maxUses: 1, maxBytes: 1000 } }),
      'Allow svc:billing to read and write with alias/invoices, at most 2 a day, data keys kept for at most 60 s, 1 use and 1000 bytes',
    ],
    [
      withGrant({ subjects: ['role:r', 'role:none'] }, { roles: { r: ['svc:a', 'wl:prod/b'], none: [] } }),
      'Allow role:r (svc:a, wl:prod/b) and role:none (nobody) to read and write with alias/invoices',
    ],
    [
      withGrant({
        unless: { notBefore: '2026-12-31T00:00:00Z', authMethod: ['api-key', 'private-key-jwt'] },
        limits: { perMinute: 1, perDay: 2 },
      }),
      'Allow svc:billing to read and write with alias/invoices unless it is 2026-12-31T00:00:00Z or later and signed in by api-key or private-key-jwt, at most 1 a minute and 2 a day',
    ],
    [
      documentOf({ guardrails: [{ ...guardrail, unless: { sourceCidr: ['10.20.0.0/16', '2001:db8:e::/48'] } }] }),
      'Block everyone from everything with any key unless the caller’s address is in 10.20.0.0/16 or 2001:db8:e::/48',
    ],
    [
      documentOf({ guardrails: [{ ...guardrail, subjects: ['svc:a'], operations: ['@read', 'Encrypt'] }] }),
      'Block svc:a from reading and Encrypt with any key',
    ],
  ])('%#: says all of it', (document, sentence) => expect(sentences(document)).toEqual([sentence]));

  it('stays one line, and shows what a label hides', () => {
    const hidden = { 'a, b=c unless': 'x\ny', 'p\u202e': '\u001b[2J', 'q|r': ['s|t', 'ü'] };
    expect(sentences(withGrant({ when: { encryptionContextSubset: hidden } }))).toEqual([
      'Allow svc:billing to read and write with alias/invoices when the labels include "a, b=c unless"="x\\ny", "p\\u202e"="\\u001b[2J", "q|r"="s|t"|"ü"',
    ]);
  });
});

describe('the sentences between two policies', () => {
  it('say what came, went and changed', () => {
    const from = withGrant(
      { when: { authMethod: ['api-key'], notAfter: '2026-01-01T00:00:00Z' }, unless: { sourceCidr: ['::1'] }, limits: { perDay: 2 } },
      { roles: { r: ['svc:a'], gone: [] }, guardrails: [guardrail] },
    );
    const to = documentOf({
      roles: { r: ['svc:b'], fresh: ['svc:c'] },
      grants: [
        { ...grant, id: 'b' },
        {
          ...grant,
          subjects: ['svc:search'],
          objects: ['*'],
          operations: ['@read'],
          when: { notAfter: '2027-01-01T00:00:00Z', weekly },
          description: 'x',
        },
      ],
    });
    expect(diff(from, to)).toEqual({
      change: 'widening',
      sentences: [
        'Changes role r: gains svc:b; loses svc:a',
        'Removes: role gone',
        'Adds: role fresh (svc:c)',
        'Adds: grant b: Allow svc:billing to read and write with alias/invoices',
        'Changes grant a: also for svc:search; no longer for svc:billing; also with any key; no longer with alias/invoices; no longer to write; when it is 2027-01-01T00:00:00Z or earlier, before: when it is 2026-01-01T00:00:00Z or earlier; no longer only when signed in by api-key; newly only when it is mon or fri from 08:00 until before 18:00 in Europe/Berlin; without exception, before: unless the caller’s address is in ::1; without a limit, before: at most 2 a day; another description',
        'Removes: guardrail no: Block everyone from everything with any key',
      ],
    });
  });

  it('tell how a lease changes', () => {
    const lease = { maxAgeSeconds: 60, maxUses: 5 };
    expect(diff(withGrant({ lease }), withGrant({})).sentences).toEqual([
      'Changes grant a: without a lease, before: data keys kept for at most 60 s and 5 uses',
    ]);
  });

  it('are none between equal policies, and tell another order', () => {
    const two = documentOf({ grants: [grant, { ...grant, id: 'b' }] });
    expect(diff(two, structuredClone(two))).toEqual({ change: 'same', sentences: [] });
    expect(diff(two, { ...two, grants: two.grants.toReversed() })).toEqual({
      change: 'same',
      sentences: ['Changes the order of the grants'],
    });
    expect(diff(withGrant({}), withGrant({ operations: ['@write', '@read'] })).sentences).toEqual([
      'Changes grant a: writes the same in another way',
    ]);
  });
});

describe('who can', () => {
  const key = { keyId: keyId.parse('key_00000000000000000000000001'), aliases: [alias.parse('alias/invoices')], tags: { class: 'pii' } };
  const asked = (document: PolicyDocument | undefined, ...targets: TenantPolicy['stops'][number]['target'][]) =>
    whoCan(
      {
        tenant: tenantId.parse('acme'),
        document,
        stops: targets.map((target, n) => ({ stopId: stopId.parse(`stop_${String(n).padStart(26, '0')}`), target })),
      },
      key,
    );
  const READ_WRITE = DATA_OPERATIONS.filter((operation) => operation !== 'GenerateRandom');
  const entry = { subject: 'svc:billing', role: undefined, operations: READ_WRITE, grant: 'a', conditions: '', except: [] };

  it('is everyone whom a grant names for the key, each member of a role by itself', () => {
    const roles = { r: ['svc:billing', 'wl:prod/b'] };
    expect(
      asked(withGrant({ subjects: ['role:r', 'svc:billing'], when: { authMethod: ['api-key'] }, limits: { perDay: 3 } }, { roles })),
    ).toEqual([
      { ...entry, conditions: 'when signed in by api-key, at most 3 a day' },
      { ...entry, subject: 'wl:prod/b', role: 'r', conditions: 'when signed in by api-key, at most 3 a day' },
    ]);
  });

  it('is nobody without a policy, and nobody for other keys', () => {
    expect(asked(undefined)).toEqual([]);
    expect(asked(withGrant({ objects: ['alias/crm', 'tag:class=public'] }))).toEqual([]);
    expect(asked(withGrant({ objects: ['tag:class=pii'] }))).toEqual([entry]);
  });

  it('leaves out what a guardrail takes away under all circumstances', () => {
    expect(asked(withGrant({}, { guardrails: [guardrail] }))).toEqual([]);
    expect(asked(withGrant({}, { guardrails: [{ ...guardrail, operations: ['@write'] }] }))).toEqual([
      { ...entry, operations: ['Decrypt', 'ReEncryptFrom', 'VerifyMac', 'Verify', 'GetPublicKey', 'AsymmetricDecrypt'] },
    ]);
    expect(asked(withGrant({}, { guardrails: [{ ...guardrail, objects: ['alias/crm'] }] }))).toEqual([entry]);
    expect(asked(withGrant({}, { roles: { r: ['svc:billing'] }, guardrails: [{ ...guardrail, subjects: ['role:r'] }] }))).toEqual([]);
  });

  it('tells what a guardrail takes away under some', () => {
    const unless = { sourceCidr: ['10.20.0.0/16'] };
    expect(asked(withGrant({}, { guardrails: [{ ...guardrail, operations: ['Decrypt'], unless }] }))).toEqual([
      { ...entry, except: ['guardrail no blocks Decrypt unless the caller’s address is in 10.20.0.0/16'] },
    ]);
  });

  it('leaves out what is stopped, and tells which labels are', () => {
    expect(asked(withGrant({}), { scope: 'everything' })).toEqual([]);
    expect(asked(withGrant({}), { scope: 'key', keyId: key.keyId })).toEqual([]);
    expect(asked(withGrant({}), { scope: 'service', service: 'billing' })).toEqual([]);
    const other = { scope: 'service', service: 'search' } as const;
    expect(asked(withGrant({}), other, { scope: 'context', name: 'customer', value: 'a b' })).toEqual([
      { ...entry, except: ['stop stop_00000000000000000000000001 blocks what is labelled customer="a b", and what can have no labels'] },
    ]);
  });
});
