import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { newEnforcer, newModelFromString } from 'casbin';
import { alias, type Grant, keyId, policyDocument, type PolicyDocument, tenantId } from '#contract';
import type { CompiledPolicy, GrantRequest } from '#core';
import { CasbinGrants, readModel } from '#grants';
import { checkoutPath } from '#runtime';
import { type Bench, median, type Result, rounded } from './result.js';

const acme = tenantId.parse('acme');
const KEY = keyId.parse('key_00000000000000000000000001');
const ROUNDS = 5;
/** So many rules, of which all or only the last name the caller and its key. */
const POLICIES = [
  { name: 'decide-20', rules: 20, concerning: 1 },
  { name: 'decide-200', rules: 200, concerning: 1 },
  { name: 'decide-200-concerning', rules: 200, concerning: 200 },
];
const TENANTS = 1000;
const RULES_EACH = 50;
const MIB = 1024 * 1024;

/**
 * CPU of one decision by a policy of so many rules, one of which allows, beside Casbin over all rows of the same policy; and what the
 * compiled policies of many tenants take of memory, beside their documents.
 */
export const decide: Bench = async ({ seconds, log }) => {
  const modelText = readModel(checkoutPath('policies', 'model.conf'));
  const grants = new CasbinGrants(modelText);
  const results: Result[] = [];
  for (const policy of POLICIES) {
    log(`${policy.name}: decisions by ${policy.rules} rules, ${policy.concerning} of which concern the call`);
    results.push(await decisions(grants, modelText, policy, seconds));
  }
  log(`${TENANTS} tenants of ${RULES_EACH} rules`);
  return [...results, memory(grants)];
};

async function decisions(
  grants: CasbinGrants,
  modelText: string,
  { name, rules, concerning }: (typeof POLICIES)[number],
  seconds: number,
): Promise<Result> {
  const document = documentOf(rules, concerning);
  const policy = grants.compile({ tenant: acme, document, stops: [] });
  const plain = await casbinOverAll(modelText, document);
  const roundMs = (1000 * seconds) / (2 * ROUNDS);
  const rounds = Array.from({ length: ROUNDS }, () => ({
    ours: cpuUsOf(() => mustAllow(policy), roundMs),
    casbin: cpuUsOf(plain, roundMs),
  }));
  const [ours, casbin] = [median(rounds.map((round) => round.ours)), median(rounds.map((round) => round.casbin))];
  return {
    ...{ name, value: rounded(ours, 2), unit: 'µs', baseline: rounded(casbin, 2) },
    ...{ ratio: rounded(median(rounds.map((round) => round.ours / round.casbin)), 3), cpuUsPerOp: rounded(ours, 2) },
  };
}

function memory(grants: CasbinGrants): Result {
  const texts = Array.from({ length: TENANTS }, (_, tenant) => JSON.stringify(documentOf(RULES_EACH, 1, tenant)));
  const empty = heapUsed();
  const documents = texts.map((text) => policyDocument.parse(JSON.parse(text)));
  const parsed = heapUsed();
  const compiled = documents.map((document, n) => grants.compile({ tenant: tenantId.parse(`tenant-${n}`), document, stops: [] }));
  for (const policy of compiled) mustAllow(policy);
  const all = heapUsed();
  const [ours, plain] = [all - parsed, parsed - empty];
  return {
    ...{ name: 'policies-memory', value: rounded(ours / MIB, 1), unit: 'MiB', baseline: rounded(plain / MIB, 1) },
    ...{ ratio: rounded(ours / plain, 2), tenants: compiled.length, rulesEach: RULES_EACH },
  };
}

function documentOf(rules: number, concerning: number, seed = 0): PolicyDocument {
  const others = Array.from({ length: rules - concerning }, (_, n) =>
    grantOf(`r${n}`, `svc:service-${(n + seed) % 40}`, `alias/${seed}/k${n}`),
  );
  const ours = Array.from({ length: concerning }, (_, n) => grantOf(`billing-${n}`, 'svc:billing', 'alias/invoices'));
  return policyDocument.parse({ schema: 'keyward.policy/1', grants: [...others, ...ours] });
}

const grantOf = (id: string, subject: string, object: string): Partial<Grant> & Pick<Grant, 'id'> => ({
  ...{ id, subjects: [subject], objects: [object], operations: ['@all'] },
  when: { encryptionContextSubset: { purpose: 'invoice' } },
});

const REQUEST: GrantRequest = {
  ...{ subject: 'svc:billing', operation: 'GenerateDataKey', keyId: KEY, aliases: [alias.parse('alias/invoices')], tags: {} },
  context: { purpose: 'invoice', customer: '4711' },
  at: Date.UTC(2026, 10, 1),
  sourceAddress: '10.0.0.1',
  authMethod: 'api-key',
  justification: null,
};

function mustAllow(policy: CompiledPolicy): void {
  if (policy.decide(REQUEST).grant !== 'billing-0') throw new Error('The policy of the bench does not allow.');
}

/** The same model, with functions that answer at once, over every row. */
async function casbinOverAll(modelText: string, { grants }: PolicyDocument): Promise<() => void> {
  const enforcer = await newEnforcer(newModelFromString(modelText));
  await enforcer.addFunction('actIn', () => true);
  await enforcer.addFunction('objIn', ({ aliases }: GrantRequest, object: string) => aliases.includes(object as never));
  await enforcer.addFunction('holds', () => true);
  await enforcer.addFunction('note', () => true);
  const rows = grants.map(({ id, subjects, objects }) => [id, subjects[0]!, acme, objects[0]!, '@all', id, 'allow']);
  await enforcer.addPolicies(rows);
  return () => {
    if (!enforcer.enforceSync('svc:billing', acme, REQUEST, 'GenerateDataKey', {})) throw new Error('Casbin does not allow.');
  };
}

/** µs of CPU of one run of `work`, in so many milliseconds of them. */
function cpuUsOf(work: () => void, milliseconds: number): number {
  const end = performance.now() + milliseconds;
  const from = process.cpuUsage();
  let runs = 0;
  while (performance.now() < end) for (let n = 0; n < 100; n++, runs++) work();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / runs;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
