import { newEnforcer, newModelFromString, StringAdapter } from 'casbin';
import fc from 'fast-check';
import { type PolicyDocument, policyDocument } from '#contract';
import { canonicalJson } from '#core';
import { readModel } from '../model.js';
import { policyTools } from './index.js';
import { documents } from './test/documents.js';

const seed = Number(process.env['KEYWARD_TEST_SEED'] ?? Date.now() % 2 ** 31);
const { read, toCsv } = policyTools;
const document = policyDocument.parse({
  schema: 'keyward.policy/1',
  roles: { readers: ['svc:anna', 'wl:prod/ben'], later: [] },
  grants: [
    {
      id: 'invoices',
      subjects: ['svc:billing', 'role:readers'],
      objects: ['alias/invoices', 'alias/crm*'],
      operations: ['@read', 'Encrypt'],
      when: { encryptionContextSubset: { purpose: ['a, "b"', 'c'] } },
      limits: { perMinute: 2 },
      description: 'one (\ntwo, #three',
    },
  ],
  guardrails: [{ id: 'no', subjects: ['*'], objects: ['*'], operations: ['@all'], unless: { sourceCidr: ['10.0.0.0/8'] } }],
});
const readCsv = (text: string) => read({ format: 'csv', text }, undefined);
const errorsOf = (text: string) =>
  readCsv(text)
    .findings.filter(({ severity }) => severity === 'error')
    .map(({ code, line }) => `${code}:${line}`);

describe('the CSV form', () => {
  it('has one line for each subject of a rule and each member of a role', () => {
    expect(toCsv(document).split('\n').slice(1)).toMatchInlineSnapshot(`
[
  "p, invoices, svc:billing, tenant, alias/invoices alias/crm*, @read Encrypt, "{""description"":""one \\u0028\\ntwo, #three"",""limits"":{""perMinute"":2},""when"":{""encryptionContextSubset"":{""purpose"":[""a, \\""b\\"""",""c""]}}}", allow",
  "p, invoices, role:readers, tenant, alias/invoices alias/crm*, @read Encrypt, "{""description"":""one \\u0028\\ntwo, #three"",""limits"":{""perMinute"":2},""when"":{""encryptionContextSubset"":{""purpose"":[""a, \\""b\\"""",""c""]}}}", allow",
  "p, no, *, tenant, *, @all, "{""unless"":{""sourceCidr"":[""10.0.0.0/8""]}}", deny",
  "g, role:later, role:later, tenant",
  "g, svc:anna, role:readers, tenant",
  "g, wl:prod/ben, role:readers, tenant",
  "",
]
`);
  });

  it(`gives every document back, and the same text for it (seed ${seed})`, () => {
    fc.assert(
      fc.property(documents, (one) => {
        const text = toCsv(one);
        const { document: back, findings } = readCsv(text);
        expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
        expect(canonicalJson(back)).toBe(canonicalJson(one));
        expect(toCsv(back!)).toBe(text);
        const spaced = text
          .split('\n')
          .map((one) => `\t${one.replace(', ', ' ,   ')}  \r`)
          .join('\n\n');
        expect(readCsv(spaced).document).toEqual(back);
      }),
      { seed, numRuns: 500 },
    );
  });

  it('reads the same from JSON', () => {
    fc.assert(
      fc.property(documents, (one) => {
        expect(read({ format: 'json', text: JSON.stringify(one) }, undefined).document).toEqual(one);
      }),
      { seed, numRuns: 200 },
    );
  });

  it('is loaded by Casbin itself, which decides by it', async () => {
    const enforcer = await newEnforcer(newModelFromString(readModel('policies/model.conf')), new StringAdapter(toCsv(document)));
    for (const name of ['actIn', 'objIn', 'note']) await enforcer.addFunction(name, () => true);
    let guarded = false;
    await enforcer.addFunction('holds', (_cond: string, effect: string) => guarded || effect === 'allow');
    const ask = (subject: string) => enforcer.enforce(subject, 'tenant', 'alias/crm', 'Decrypt', {});
    expect(await ask('svc:billing')).toBe(true);
    expect(await ask('wl:prod/ben')).toBe(true);
    expect(await ask('svc:stranger')).toBe(false);
    guarded = true;
    expect(await ask('svc:billing')).toBe(false);
  });

  it('has columns for Casbin that mean what they mean to us', async () => {
    await fc.assert(
      fc.asyncProperty(documents, async (one) => {
        fc.pre(!canonicalJson(one).includes('""')); // Casbin halves two quotes that belong to the value
        const model = newModelFromString(readModel('policies/model.conf'));
        await new StringAdapter(toCsv(one)).loadPolicy(model);
        const rows = model.model.get('p')!.get('p')!.policy;
        const rules = [...one.grants, ...one.guardrails];
        expect(rows.map((row) => row.length)).toEqual(rows.map(() => 7));
        expect(rows.length).toBe(rules.flatMap(({ subjects }) => subjects).length);
        for (const [id, , , objects, operations, cond] of rows as [string, string, string, string, string, string][]) {
          const { subjects: _, objects: wanted, operations: acts, id: _id, ...rest } = rules.find((rule) => rule.id === id)!;
          expect([objects.split(' '), operations.split(' '), canonicalJson(JSON.parse(cond))]).toEqual([wanted, acts, canonicalJson(rest)]);
        }
      }),
      { seed, numRuns: 150 },
    );
  });

  it('takes a rule from a line for each combination, in any order, with one domain of any name', () => {
    const cell = (object: string, operation: string) => `p,a, svc:x ,acme,${object},${operation},{},allow`;
    const text = [
      '# mine',
      cell('alias/b', 'Encrypt'),
      '',
      cell('alias/a', 'Decrypt'),
      cell('alias/b', 'Decrypt'),
      cell('alias/a', 'Encrypt'),
    ].join('\n');
    expect(readCsv(text).document).toEqual({
      schema: 'keyward.policy/1',
      roles: {},
      grants: [{ id: 'a', subjects: ['svc:x'], objects: ['alias/b', 'alias/a'], operations: ['Encrypt', 'Decrypt'] }],
      guardrails: [],
    } satisfies PolicyDocument);
    expect(errorsOf(text.replace(/\n[^\n]*$/, ''))).toEqual(['G044:2']);
  });

  const line = (changes: Record<number, string>) => Object.assign(['p', 'a', 'svc:x', 't', '*', '@all', '{}', 'allow'], changes).join(', ');
  it.each([
    ['a column too few', 'p, a, svc:x, t, *, @all, {}', ['G040:1']],
    ['a column too many', `${line({})}, x`, ['G040:1']],
    ['an empty column', line({ 6: '' }), ['G042:1']],
    ['an effect in another case', line({ 7: 'Deny' }), ['G017:1']],
    ['another kind of policy', `\n${line({ 0: 'p2' })}`, ['G041:2']],
    ['another kind of role', 'g2, svc:x, role:a, t', ['G041:1']],
    ['a quote that nobody closes', line({ 1: '"a' }), ['G001:1']],
    ['a quote inside a column', line({ 6: '{"when":1}' }), ['G001:1']],
    ['an open parenthesis', line({ 1: 'x (1' }), ['G001:1']],
    ['a carriage return within', line({ 1: 'a\rp' }), ['G001:1']],
    ['two domains', `${line({})}\ng, svc:x, role:a, u`, ['G045:2']],
    ['two effects', `${line({})}\n${line({ 7: 'deny' })}`, ['G043:2']],
    ['two conditions', `${line({})}\n${line({ 6: '"{""when"":{}}"' })}`, ['G043:2']],
    ['conditions that are no object', line({ 6: '[]' }), ['G001:1']],
    ['conditions that are no JSON', line({ 6: 'false) || (true' }), ['G001:1']],
    ['conditions that name the subjects', line({ 6: '"{""subjects"":[""*""]}"' }), ['G006:1']],
    ['conditions with a member twice', line({ 6: '"{""when"":{},""when"":{}}"' }), ['G002:1']],
    ['a member that is a role', 'g, role:a, role:b, t', ['G021:1']],
    ['a role without its prefix', 'g, svc:x, readers, t', ['G018:1']],
    ['a member that is nobody', 'g, billing, role:a, t', ['G012:1']],
    ['a lease on a guardrail', line({ 6: '"{""lease"":{""maxAgeSeconds"":1}}"', 7: 'deny' }), ['G071:1']],
    ['a limit on a guardrail', line({ 6: '"{""limits"":{""perDay"":1}}"', 7: 'deny' }), ['G035:1']],
    ['an object that is none, by its line', `${line({})}\n${line({ 1: 'b', 4: 'alias/b keyMatch2' })}`, ['G014:2']],
  ])('refuses %s', (_what, text, codes) => {
    expect(errorsOf(text)).toEqual(codes);
    expect(readCsv(text).document).toBeUndefined();
  });
});
