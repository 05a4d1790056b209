import { LINT_CODES, type LintCode, policyTools } from './index.js';

const { read } = policyTools;
const grant = { id: 'a', subjects: ['svc:x'], objects: ['alias/a'], operations: ['Decrypt'], when: { encryptionContextEquals: {} } };
const guardrail = { id: 'no', subjects: ['*'], objects: ['*'], operations: ['@all'], when: { notBefore: '2026-01-01T00:00:00Z' } };
const json = (parts: object) => JSON.stringify({ schema: 'keyward.policy/1', ...parts });
const withGrant = (parts: object) => json({ grants: [{ ...grant, ...parts }] });
const when = (conditions: object) => withGrant({ when: conditions });
/** As text: an object literal would set the prototype instead. */
const labelled = (name: string) => withGrant({ when: { encryptionContextEquals: { LABEL: 'x' } } }).replace('LABEL', name);
const long = 'x'.repeat(40_000);
const pairs = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`l${n}`, 'x']));
const weekly = { tz: 'Europe/Berlin', days: ['mon'], from: '08:00', to: '18:00' };
const row = (changes: Record<number, string>) =>
  Object.assign(['p', 'a', 'svc:x', 't', 'alias/a', 'Decrypt', '"{""when"":{""authMethod"":[""api-key""]}}"', 'allow'], changes).join(', ');

type Case = readonly [what: string, format: 'json' | 'csv', text: string, code: LintCode, where?: string];

/** References: grants.md 1.6, 1.7 and 2 (P1 to P23). */
const REFUSED: readonly Case[] = [
  ['an empty text', 'json', '', 'G001'],
  ['a trailing comma', 'json', '{"schema":"keyward.policy/1",}', 'G001'],
  ['something behind the end', 'json', `${json({})} {}`, 'G001'],
  ['a byte order mark', 'json', `\uFEFF${json({})}`, 'G004'],
  ['a byte order mark before CSV', 'csv', `\uFEFF${row({})}`, 'G004'],
  ['a grant and its double', 'json', `{"schema":"keyward.policy/1","grants":[],\n"grants":[]}`, 'G002', 'grants@2'],
  ['a label twice', 'json', withGrant({ when: { encryptionContextEquals: { p: 1, q: 1 } } }).replace('"q"', '"\\u0070"'), 'G002'],
  ['nesting without end', 'json', '['.repeat(100_000), 'G003'],
  [
    'more than a policy may have',
    'json',
    withGrant({
      objects: Array.from({ length: 64 }, (_, n) => `alias/${long.slice(0, 250)}${n}`),
      when: {
        encryptionContextSubset: {
          a: Array.from({ length: 16 }, () => 'ü'.repeat(384)),
          b: Array.from({ length: 16 }, () => 'ü'.repeat(384)),
        },
      },
    }),
    'G003',
  ],
  ['more than the API takes', 'csv', '#'.repeat(131_073), 'G003'],
  ['half of a surrogate pair', 'json', labelled('\\ud800'), 'G004'],
  ['U+0000 in a description', 'json', withGrant({ description: 'a\0b' }), 'G004', 'grants.0.description@1'],
  ['__proto__ as a label', 'json', labelled('__proto__'), 'G005', 'grants.0.when.encryptionContextEquals.__proto__@1'],
  ['constructor as a label', 'json', labelled('constructor'), 'G005'],
  ['__proto__ as a role', 'csv', 'g, svc:x, role:__proto__, t', 'G005', 'roles.__proto__@1'],
  ['__proto__ with fields inside', 'json', withGrant({ X: { limits: {} } }).replace('"X"', '"__proto__"'), 'G005'],
  ['__proto__ in cond', 'csv', row({ 6: '"{""__proto__"":{}}"' }), 'G005'],
  ['an effect of its own', 'json', withGrant({ eft: 'Deny' }), 'G006', 'grants.0.eft@1'],
  ['matcher text', 'json', json({ matcher: 'r.sub == p.sub || true' }), 'G006'],
  ['a number for a name', 'json', withGrant({ description: 7 }), 'G007'],
  ['a list for a document', 'json', '[]', 'G007'],
  [
    'a grant without subjects',
    'json',
    json({ grants: [{ id: 'a', objects: ['*'], operations: ['@all'] }] }),
    'G008',
    'grants.0.subjects@1',
  ],
  ['another schema', 'json', json({ schema: 'keyward.policy/2' }), 'G009'],
  ['code for an id (P1)', 'json', withGrant({ id: 'false) || (true' }), 'G010'],
  ['code for an id in CSV', 'csv', row({ 1: 'false) || (true' }), 'G010'],
  ['an id twice', 'json', json({ grants: [grant, grant] }), 'G011', 'grants.1.id@1'],
  ['an unbalanced parenthesis (P12)', 'json', withGrant({ subjects: ['x (1'] }), 'G012'],
  ['an unbalanced parenthesis in CSV (P12)', 'csv', row({ 2: 'x (1' }), 'G001'],
  ['quotes that split columns (P12)', 'json', withGrant({ subjects: ['a","b'] }), 'G012'],
  ['quotes that split columns in CSV (P12)', 'csv', row({ 2: 'a","b' }), 'G001'],
  ['a comma in a subject', 'json', withGrant({ subjects: ['svc:a,svc:b'] }), 'G012'],
  ['a subject with spaces around', 'json', withGrant({ subjects: [' svc:a '] }), 'G012'],
  ['the cache key of another tenant (P16)', 'json', withGrant({ subjects: ['svc:a$$globex'] }), 'G012'],
  ['everyone in a grant', 'json', withGrant({ subjects: ['*'] }), 'G013'],
  ['everyone in a grant in CSV', 'csv', row({ 2: '*' }), 'G013', 'grants.0.subjects.0@1'],
  ['everyone in a role', 'csv', 'g, *, role:a, t', 'G012'],
  ['a pattern that never returns (P5)', 'json', withGrant({ objects: ["keyMatch2('/:')"] }), 'G014'],
  ['a pattern that never returns in CSV (P5)', 'csv', row({ 4: '/:' }), 'G014'],
  ['a regular expression (P4)', 'json', withGrant({ objects: ['^(a+)+$'] }), 'G014'],
  ['a star in the middle', 'json', withGrant({ objects: ['alias/*/x'] }), 'G014'],
  ['decrypt in lower case', 'json', withGrant({ operations: ['decrypt'] }), 'G015', 'grants.0.operations.0@1'],
  ['an operation of the key plane', 'csv', row({ 5: 'CreateKey' }), 'G015'],
  ['Deny (P9)', 'csv', row({ 7: 'Deny' }), 'G017'],
  ['an empty effect (P11)', 'csv', row({ 7: '' }), 'G042'],
  ['a row one column short (P10)', 'csv', 'p, a, svc:x, t, *, @all, {}', 'G040'],
  ['a row one column long', 'csv', `${row({})}, allow`, 'G040'],
  ['an empty subject (P15)', 'csv', row({ 2: '' }), 'G042'],
  ['an empty domain (P7)', 'csv', row({ 3: '' }), 'G042'],
  ['a role name in capitals', 'json', json({ roles: { Readers: [] } }), 'G018'],
  ['a role that nobody defined', 'json', withGrant({ subjects: ['role:readers'] }), 'G019'],
  [
    'labels that differ by case',
    'json',
    json({
      grants: [
        { ...grant, when: { encryptionContextEquals: { tenant: 'x' } } },
        { ...grant, id: 'b', unless: { encryptionContextEquals: { Tenant: 'x' } } },
      ],
    }),
    'G020',
    'grants.1.unless.encryptionContextEquals.Tenant@1',
  ],
  ['a role in a role (P19)', 'json', json({ roles: { a: ['role:b'], b: [] } }), 'G021'],
  ['a chain of roles in CSV (P19)', 'csv', 'g, svc:x, role:a, t\ng, role:a, role:b, t', 'G021', '@2'],
  ['a service as a role (P18)', 'csv', 'g, svc:x, svc:y, t', 'G018'],
  ['nobody', 'json', withGrant({ subjects: [] }), 'G022'],
  ['too many subjects', 'json', withGrant({ subjects: Array.from({ length: 65 }, () => 'svc:x') }), 'G023'],
  ['too much description', 'json', withGrant({ description: 'x'.repeat(513) }), 'G023'],
  [
    'too many rules',
    'json',
    json({ grants: Array.from({ length: 501 }, (_, n) => ({ id: `${n}`, subjects: ['svc:x'], objects: ['*'], operations: ['@all'] })) }),
    'G024',
  ],
  ['nine labels', 'json', when({ encryptionContextSubset: pairs }), 'G025'],
  ['no label where one is asked', 'json', when({ encryptionContextSubset: {} }), 'G025'],
  ['a day without a time', 'json', when({ notAfter: '2026-01-01' }), 'G026'],
  ['the 30th of February', 'json', when({ notAfter: '2026-02-30T00:00:00Z' }), 'G026'],
  ['an end before the beginning', 'json', when({ notBefore: '2026-01-02T00:00:00Z', notAfter: '2026-01-02T01:00:00+01:00' }), 'G027'],
  ['an unknown zone', 'json', when({ weekly: { ...weekly, tz: 'Mars/Olympus' } }), 'G028'],
  ['an offset for a zone', 'json', when({ weekly: { ...weekly, tz: '+01:00' } }), 'G028'],
  ['a window over midnight', 'json', when({ weekly: { ...weekly, to: '07:00' } }), 'G029'],
  ['an unknown day', 'json', when({ weekly: { ...weekly, days: ['Monday'] } }), 'G029'],
  ['the 25th hour', 'json', when({ weekly: { ...weekly, from: '25:00' } }), 'G029'],
  ['a network of /33 (P21)', 'json', when({ sourceCidr: ['10.0.0.0/33'] }), 'G030'],
  ['every address', 'json', when({ sourceCidr: ['0.0.0.0/0'] }), 'G030'],
  ['every address of IPv6', 'json', when({ sourceCidr: ['::/0'] }), 'G030'],
  ['IPv4 in disguise', 'json', when({ sourceCidr: ['0::ffff:10.0.0.0/104'] }), 'G030'],
  ['an address with something behind it', 'json', when({ sourceCidr: ['::1]:80/[a'] }), 'G030'],
  ['an empty label name', 'json', when({ encryptionContextEquals: { '': 'x' } }), 'G031'],
  ['a label of ours', 'json', when({ encryptionContextEquals: { 'keyward:secret': 'x' } }), 'G031'],
  ['a label of the SDK', 'json', when({ encryptionContextSubset: { 'aws-crypto-public-key': 'x' } }), 'G031'],
  ['an unknown way to sign in', 'json', when({ authMethod: ['password'] }), 'G033'],
  ['an unknown reason', 'json', when({ justification: { anyOf: ['BECAUSE'] } }), 'G033'],
  ['a limit of nothing', 'json', withGrant({ limits: { perDay: 0 } }), 'G034'],
  ['limits without one', 'json', withGrant({ limits: {} }), 'G034'],
  ['a limit of 1e999', 'json', withGrant({ limits: { perDay: 7 } }).replace(':7', ':1e999'), 'G034'],
  ['a limit on a guardrail', 'json', json({ guardrails: [{ ...guardrail, limits: { perDay: 1 } }] }), 'G035'],
  ['a lease without an age', 'json', withGrant({ lease: { maxUses: 1 } }), 'G008'],
  ['a lease of no time', 'json', withGrant({ lease: { maxAgeSeconds: 0 } }), 'G070'],
  ['a lease of more than five minutes', 'json', withGrant({ lease: { maxAgeSeconds: 301 } }), 'G070'],
  ['a lease of no use', 'json', withGrant({ lease: { maxAgeSeconds: 1, maxUses: 0 } }), 'G070'],
  ['a lease of half a byte', 'json', withGrant({ lease: { maxAgeSeconds: 1, maxBytes: 0.5 } }), 'G070'],
  ['a lease of something else', 'json', withGrant({ lease: { maxAgeSeconds: 1, maxFields: 5 } }), 'G006'],
  ['a lease on a guardrail', 'json', json({ guardrails: [{ ...guardrail, lease: { maxAgeSeconds: 1 } }] }), 'G071'],
  ['when without a condition', 'json', when({}), 'G036'],
  [
    'an exception that is always met',
    'json',
    withGrant({ when: { sourceCidr: ['10.1.0.0/16'] }, unless: { sourceCidr: ['10.0.0.0/8'] } }),
    'G037',
  ],
  ['labels that cannot be', 'json', when({ encryptionContextEquals: { a: 'x' }, encryptionContextSubset: { b: 'y' } }), 'G037'],
  ['a day twice', 'json', when({ weekly: { ...weekly, days: ['mon', 'mon'] } }), 'G038'],
  ['p2', 'csv', row({ 0: 'p2' }), 'G041'],
  ['g2', 'csv', 'g2, svc:x, role:a, t', 'G041'],
  ['a model instead of a policy', 'csv', '[matchers]\nm = true', 'G041'],
  ['two effects of one rule', 'csv', `${row({})}\n${row({ 7: 'deny' })}`, 'G043', '@2'],
  ['half of the combinations', 'csv', `${row({})}\n${row({ 2: 'svc:y', 4: 'alias/b' })}`, 'G044', 'grants.0@1'],
  ['two domains (P17)', 'csv', `${row({})}\n${row({ 1: 'b', 3: 'globex' })}`, 'G045', '@2'],
  ['two hundred mistakes', 'csv', 'x\n'.repeat(1_000), 'G099'],
];

const WARNED: readonly Case[] = [
  ['a grant by tag', 'json', withGrant({ objects: ['tag:class=pii'] }), 'G016', 'grants.0.objects.0@1'],
  ['a service that nobody has', 'json', withGrant({ subjects: ['svc:nobody'] }), 'G050'],
  ['all with all', 'json', withGrant({ objects: ['*'], operations: ['@all'] }), 'G051'],
  ['no condition', 'csv', row({ 6: '{}' }), 'G052', 'grants.0@1'],
  ['a grant that is blocked', 'json', json({ grants: [grant], guardrails: [{ ...guardrail, when: undefined }] }), 'G053'],
  ['a grant within another', 'json', json({ grants: [{ ...grant, id: 'b', limits: { perDay: 1 } }, grant] }), 'G054', 'grants.0@1'],
  ['the same guardrail again', 'csv', `${row({ 7: 'deny' })}\n\n${row({ 1: 'b', 7: 'deny' })}`, 'G054', 'guardrails.1@3'],
  ['a role for nothing', 'json', json({ roles: { a: ['svc:x'] } }), 'G055'],
  ['a role of nobody', 'csv', 'g, role:a, role:a, t', 'G056', 'roles.a@1'],
  ['a claim as the only condition', 'json', when({ justification: { anyOf: ['ISV_INCIDENT'] } }), 'G057'],
  ['a guardrail on what may be unknown', 'json', json({ guardrails: [{ ...guardrail, when: { sourceCidr: ['10.0.0.0/8'] } }] }), 'G058'],
  ['a subject twice', 'json', withGrant({ subjects: ['svc:x', 'svc:x'] }), 'G059'],
  ['a policy of nothing', 'csv', '', 'G060'],
  ['an address inside its network', 'json', when({ sourceCidr: ['10.1.2.3/16'] }), 'G061'],
];

const judge = ([, format, text, code]: Case) => {
  const { document, findings } = read({ format, text }, new Set(['x']));
  return { document, places: findings.filter((one) => one.code === code).map(({ path, line }) => `${path}@${line}`) };
};
const titled = (cases: readonly Case[]) => cases.map((one) => [one[0], one[3], one] as const);

describe('the linter', () => {
  it.each(titled(REFUSED))('refuses %s (%s)', (_what, _code, one) => {
    const { document, places } = judge(one);
    expect(document).toBeUndefined();
    expect(places).not.toEqual([]);
    if (one[4] !== undefined) expect(places).toContain(one[4]);
  });

  it.each(titled(WARNED))('warns of %s (%s)', (_what, _code, one) => {
    const { document, places } = judge(one);
    expect(document).toBeDefined();
    expect(places).not.toEqual([]);
    if (one[4] !== undefined) expect(places).toContain(one[4]);
  });

  it('has a case here for every code, and no other code', () => {
    expect([...new Set([...REFUSED, ...WARNED].map(([, , , code]) => code))].sort()).toEqual(Object.keys(LINT_CODES).sort());
    for (const [, , , code] of REFUSED) expect(LINT_CODES[code].severity).toBe('error');
    for (const [, , , code] of WARNED) expect(LINT_CODES[code].severity).toBe('warning');
  });

  it('finds nothing in a good policy (the positive control of all that precedes)', () => {
    expect(read({ format: 'json', text: json({ grants: [grant], guardrails: [guardrail] }) }, new Set(['x'])).findings).toEqual([]);
    expect(read({ format: 'csv', text: row({}) }, new Set(['x'])).findings).toEqual([]);
  });

  it('suggests the operation that was meant', () => {
    const { findings } = read({ format: 'json', text: withGrant({ operations: ['decrypt'] }) }, undefined);
    expect(findings[0]!.message).toContain('is Decrypt meant?');
  });

  it('tells no text that a terminal would obey', () => {
    const { findings } = read({ format: 'json', text: withGrant({ ['\u001b[2J\u202e']: 1 }) }, undefined);
    expect(findings.map(({ path, message }) => `${path} ${message}`).join()).toMatch(/^[^\p{C}]+$/u);
    expect(findings[0]!.path).toBe('grants.0.\\u001b[2J\\u202e');
  });

  it('says the same of a document as of its text', () => {
    const { document, findings } = read(
      { format: 'json', text: withGrant({ objects: ['*', 'tag:a=b'], operations: ['@all'] }) },
      undefined,
    );
    expect(policyTools.lint(document!, undefined)).toEqual(findings.map(({ line: _line, ...rest }) => rest));
  });
});
