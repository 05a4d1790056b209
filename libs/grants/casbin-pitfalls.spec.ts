import { readdirSync, readFileSync } from 'node:fs';
import { FunctionMap } from 'casbin';
import { alias, keyId, type PolicyDocument, policyDocument, stopId, tenantId } from '#contract';
import { type GrantRequest, NO_DECISION } from '#core';
import { CasbinGrants } from './casbin-grants.js';
import { enforcerOver, type Row } from './enforcer.js';
import { functionsOver, hearingOf, ruling } from './hearing.js';
import { readModel } from './model.js';
import { DocumentRoles } from './roles.js';
import { rulesOf } from './rules.js';

const model = readModel('policies/model.conf');
const acme = tenantId.parse('acme');
const request: GrantRequest = {
  subject: 'svc:billing',
  operation: 'Encrypt',
  keyId: keyId.parse('key_00000000000000000000000001'),
  aliases: [alias.parse('alias/invoices')],
  tags: {},
  context: {},
  at: 0,
  sourceAddress: undefined,
  authMethod: undefined,
  justification: null,
};
const grant = { id: 'all', subjects: ['svc:billing'], objects: ['*'], operations: ['@all' as const] };
const documentWith = (parts: Partial<PolicyDocument>) => policyDocument.parse({ schema: 'keyward.policy/1', ...parts });
const grants = new CasbinGrants(model);
const nothing = NO_DECISION;

/** Casbin on rows of our choice; every function of the model says yes, or what `answers` says. */
function ask(rows: readonly Row[], answers: Readonly<Record<string, () => boolean | string | number | Promise<boolean>>> = {}): boolean {
  const map = new FunctionMap();
  for (const name of ['actIn', 'objIn', 'holds', 'note']) map.addFunction(name, answers[name] ?? (() => true));
  return enforcerOver(rows, model, map, new DocumentRoles(acme, { readers: ['svc:anna'] })).enforceSync(
    'svc:billing',
    'acme',
    request,
    'Encrypt',
    {},
  );
}
const row = (changes: Partial<Record<'sub' | 'dom' | 'eft', string>> = {}): Row =>
  ['id', changes.sub ?? 'svc:billing', changes.dom ?? 'acme', '*', '@all', 'c', (changes.eft ?? 'allow') as 'allow'] satisfies Row;

describe('what Casbin would do to an unwary product', () => {
  it('allows by a row of this tenant (the positive control of all that follows)', () => {
    expect(ask([row()])).toBe(true);
  });

  it('allows nothing without rows, whatever the functions say', () => {
    expect(ask([])).toBe(false);
  });

  it('never matches a row of another tenant', () => {
    expect(ask([row({ dom: 'globex' })])).toBe(false);
    expect(ask([row({ dom: 'globex', sub: '*' })])).toBe(false);
  });

  it('refuses a row with an empty or missing column: a missing effect would be an allow', () => {
    expect(() => ask([row({ eft: '' })])).toThrow('empty column');
    expect(() => ask([row().slice(0, 6) as unknown as Row])).toThrow('empty column');
    expect(() => ask([row({ dom: '' })])).toThrow('empty column');
  });

  it('lets a deny win wherever it stands', () => {
    expect(ask([row(), row({ eft: 'deny' })])).toBe(false);
    expect(ask([row({ eft: 'deny' }), row()])).toBe(false);
  });

  it('knows no effect but allow and deny: the compiler writes them, a document cannot', () => {
    expect(ask([row(), row({ eft: 'Deny' })])).toBe(true); // Casbin's silence, which is why no outside text reaches this column
    expect(() => policyDocument.parse({ schema: 'keyward.policy/1', grants: [{ ...grant, eft: 'Deny' }] })).toThrow();
  });

  it('takes a promise for a yes, so none of the functions that it may call answers with one', () => {
    expect(ask([row()], { holds: () => false })).toBe(false);
    expect(ask([row()], { holds: () => Promise.resolve(false) })).toBe(true); // Casbin's silence again
    const { rules } = rulesOf({ tenant: acme, document: documentWith({ grants: [grant] }), stops: [] });
    const [hearing, functions] = [hearingOf(request), functionsOver(rules).getFunctions()];
    const calls = {
      actIn: ['Encrypt', '@all'],
      objIn: [request, '*'],
      holds: ['grant-0', 'allow', hearing],
      note: [hearing, 'all', 'allow'],
    };
    for (const [name, args] of Object.entries(calls)) {
      const call = functions.get(name) as (...all: unknown[]) => unknown;
      expect([name, call(...args)]).toEqual([name, true]);
    }
  });

  it('fails closed where Casbin’s verdict and the rules that it noted differ', () => {
    expect(() => ruling(hearingOf(request), true)).toThrow('disagree');
    expect(() => ruling({ ...hearingOf(request), guardrail: 'no' }, true)).toThrow('disagree');
    expect(ruling(hearingOf(request), false)).toMatchObject({ grant: undefined, limited: [] });
    const { rules } = rulesOf({ tenant: acme, document: documentWith({ grants: [grant] }), stops: [] });
    const heard = { ...hearingOf(request), allowing: [...rules] };
    expect(ruling(heard, true)).toMatchObject({ grant: 'all' });
    for (const verdict of [false, Promise.resolve(true), 1, 'true', undefined]) expect(() => ruling(heard, verdict)).toThrow('disagree');
  });

  it('compares columns as they are: nothing is trimmed, split or unquoted', () => {
    for (const sub of [' svc:billing', 'svc:billing ', '"svc:billing"', 'svc:billing,svc:search', 'svc:billing" (1'])
      expect(ask([row({ sub })])).toBe(false);
  });

  it('has no adapter that could load, save or remove rows, and none of the parts that go wrong', () => {
    const enforcer = enforcerOver([row()], model, new FunctionMap(), new DocumentRoles(acme, {}));
    expect(enforcer.getAdapter()).toBeUndefined();
    const sources = readdirSync('libs/grants').filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'));
    expect(sources).toContain('enforcer.ts');
    for (const name of sources)
      expect(readFileSync(`libs/grants/${name}`, 'utf8')).not.toMatch(
        /CachedEnforcer|SyncedEnforcer|newEnforcer|setWatcher|setAdapter|loadPolicy|[^a-z]enforce\(|enforceEx/,
      );
  });

  it('knows the members of a guardrail’s role from the first decision on', () => {
    for (let n = 0; n < 100; n += 1) {
      const document = documentWith({
        roles: { readers: ['svc:billing'] },
        grants: [grant],
        guardrails: [{ ...grant, id: 'no', subjects: ['role:readers'] }],
      });
      expect(grants.compile({ tenant: acme, document, stops: [] }).decide(request).guardrail).toBe('no');
    }
  });

  it('answers one tenant nothing that it remembers of another', () => {
    const [open, shut] = [[grant], []].map((list) => documentWith({ grants: list }));
    const mine = grants.compile({ tenant: acme, document: open, stops: [] });
    const theirs = grants.compile({ tenant: tenantId.parse('globex'), document: shut, stops: [] });
    expect(mine.decide(request).grant).toBe('all');
    expect(theirs.decide(request)).toEqual(nothing);
  });

  it('knows operations by their exact case', () => {
    const compiled = grants.compile({
      tenant: acme,
      document: documentWith({ grants: [{ ...grant, operations: ['Encrypt'] }] }),
      stops: [],
    });
    expect(compiled.decide(request).grant).toBe('all');
    expect(compiled.decide({ ...request, operation: 'encrypt' as 'Encrypt' })).toEqual(nothing);
  });

  it('has none of the built-in matchers that hang or run code', () => {
    for (const name of ['regexMatch', 'keyMatch', 'keyMatch2', 'globMatch', 'ipMatch', 'eval'])
      expect(model.split('[matchers]')[1]).not.toContain(`${name}(`);
  });

  it('takes a caller named like a role for nobody', () => {
    const compiled = grants.compile({
      tenant: acme,
      document: documentWith({ roles: { readers: ['svc:anna'] }, grants: [{ ...grant, subjects: ['role:readers'] }] }),
      stops: [],
    });
    expect(compiled.decide({ ...request, subject: 'svc:anna' }).grant).toBe('all');
    for (const subject of ['role:readers', 'svc:readers', 'readers', '*', ''])
      expect(compiled.decide({ ...request, subject })).toEqual(nothing);
  });

  it('knows members by role of one level, in this tenant only', () => {
    const roles = new DocumentRoles(acme, { readers: ['svc:anna'] });
    expect(roles.syncedHasLink('svc:anna', 'role:readers', 'acme')).toBe(true);
    expect(roles.syncedHasLink('svc:anna', 'role:readers', 'globex')).toBe(false);
    expect(roles.syncedHasLink('svc:anna', 'role:readers')).toBe(false);
    expect(roles.syncedHasLink('role:readers', 'role:readers', 'acme')).toBe(false);
  });

  it('reads no label that a polluted prototype pretends', () => {
    const when = { encryptionContextSubset: { purpose: 'invoice' } };
    const compiled = grants.compile({ tenant: acme, document: documentWith({ grants: [{ ...grant, when }] }), stops: [] });
    expect(compiled.decide({ ...request, context: { purpose: 'invoice' } }).grant).toBe('all');
    expect(compiled.decide({ ...request, context: Object.create({ purpose: 'invoice' }) as Record<string, string> }).grant).toBeUndefined();
  });

  it('does not take a star among a grant’s subjects for everyone', () => {
    const compiled = grants.compile({
      tenant: acme,
      document: { ...documentWith({}), grants: [{ ...grant, subjects: ['*'] }] },
      stops: [],
    });
    expect(compiled.decide(request)).toEqual(nothing);
  });

  it('does not stop at the first deny: guardrail and stop are both told', () => {
    const stop = { stopId: stopId.parse('stop_00000000000000000000000001'), target: { scope: 'everything' as const } };
    const compiled = grants.compile({
      tenant: acme,
      document: documentWith({ grants: [grant], guardrails: [{ ...grant, id: 'no', subjects: ['*'] }] }),
      stops: [stop],
    });
    expect(compiled.decide(request)).toEqual({ ...nothing, grant: 'all', guardrail: 'no', stop: stop.stopId });
  });
});

describe('CasbinGrants', () => {
  it('does not start with an edited model', () => {
    expect(() => new CasbinGrants(model.replace('r.dom == p.dom', 'true'))).toThrow('not the model of this release');
  });

  it('fails closed and says so when a rule cannot be evaluated', () => {
    const faults: unknown[] = [];
    const compiled = new CasbinGrants(model, (error, tenant) => faults.push([tenant, String(error)])).compile({
      tenant: acme,
      document: documentWith({ grants: [grant] }),
      stops: [],
    });
    const poisoned: GrantRequest = {
      ...request,
      get aliases(): never {
        throw new Error('poison');
      },
    };
    expect(compiled.decide(poisoned)).toEqual(nothing);
    expect(faults).toEqual([['acme', 'Error: poison']]);
  });

  it('fails closed even if whoever counts the faults fails', () => {
    const compiled = new CasbinGrants(model, () => {
      throw new Error('counter');
    }).compile({ tenant: acme, document: documentWith({ grants: [grant] }), stops: [] });
    expect(compiled.decide({ ...request, subject: 'nobody' })).toEqual(nothing);
  });

  it('does not read "unknown condition of a newer release" as "always"', () => {
    const newer = {
      ...documentWith({}),
      grants: [{ ...grant, when: { attested: ['sha384'] } }],
      guardrails: [],
    } as unknown as PolicyDocument;
    const guarded = { ...documentWith({ grants: [grant] }), guardrails: [{ ...grant, id: 'no', unless: { attested: ['sha384'] } }] };
    expect(grants.compile({ tenant: acme, document: newer, stops: [] }).decide(request).grant).toBeUndefined();
    expect(grants.compile({ tenant: acme, document: newer, stops: [] }).couldAllow(request)).toBe(true);
    expect(grants.compile({ tenant: acme, document: guarded as PolicyDocument, stops: [] }).decide(request).guardrail).toBe('no');
  });

  it('keeps a decision apart from what becomes of its document', () => {
    const document = documentWith({ grants: [{ ...grant, objects: ['alias/crm'] }] });
    const compiled = grants.compile({ tenant: acme, document, stops: [] });
    document.grants[0]!.objects.push('*');
    expect(compiled.decide(request)).toEqual(nothing);
  });

  it('sees an alias or tag that moved, also for a key that it has judged before', () => {
    const compiled = grants.compile({
      tenant: acme,
      document: documentWith({ grants: [{ ...grant, objects: ['alias/invoices', 'tag:class=pii'] }] }),
      stops: [],
    });
    expect(compiled.decide(request).grant).toBe('all');
    expect(compiled.decide({ ...request, aliases: [alias.parse('alias/crm')] }).grant).toBeUndefined();
    expect(compiled.decide({ ...request, aliases: [], tags: { class: 'pii' } }).grant).toBe('all');
    expect(compiled.decide({ ...request, aliases: [], tags: { class: 'finance' } }).grant).toBeUndefined();
  });

  it('remembers a bounded number of keys and forgets correctly', () => {
    const compiled = grants.compile({
      tenant: acme,
      document: documentWith({ grants: [{ ...grant, objects: ['alias/k1*'] }] }),
      stops: [],
    });
    for (let n = 0; n < 5_000; n += 1) {
      const key = { keyId: keyId.parse(`key_${String(n).padStart(26, '0')}`), aliases: [alias.parse(`alias/k${n}`)] };
      expect(compiled.decide({ ...request, ...key }).grant).toBe(`k${n}`.startsWith('k1') ? 'all' : undefined);
    }
  });
});
