import type { SecretUse, WhoCanEntry } from '#contract';
import { ownKeyUse, refusalOfPut, SEALING_USES } from '../decide-secret.js';
import { KeywardError } from '../errors.js';
import type { Step } from '../pipeline.js';
import type { GrantPolicy, PolicyTools, WhoCan } from '../ports/grants.js';
import type { StoredSecret } from '../ports/secrets.js';
import { secretContext } from '../secret-sealing.js';
import type { SnapshotKey } from '../snapshot.js';
import { findSecret, type SecretSource } from './own-secret.js';
import { mayAsk } from './who-can.js';

interface WhoCanSecretParts extends SecretSource {
  readonly tools: PolicyTools;
  readonly grants: GrantPolicy;
}
type Asked = Pick<Step<'WhoCan'>, 'call' | 'snapshot' | 'now'>;
type Entry = Pick<WhoCanEntry, 'subject' | 'operations' | 'grant' | 'role' | 'conditions' | 'except'>;

const ADMINS = { subject: 'admin', grant: 'admin', conditions: 'every admin of the tenant, without a grant', except: [] };

/** Who may use a secret: by the policy in force and its stops, as admin, or because a rotation needs it. What a value needs of the key is there, too. */
export async function whoCanSecret(parts: WhoCanSecretParts, asked: Asked, reference: string): Promise<WhoCanEntry[]> {
  const found = await findSecret(parts, asked, reference);
  if (found === undefined) throw new KeywardError('not-found', 'There is no such secret.');
  const { secret } = found;
  const key = await asked.snapshot.key({ reference: secret.keyId });
  if (key === undefined) throw new KeywardError('not-found', 'There is no such key.');
  const entries = [...granted(parts, asked, secret, key), ...(await ofTheTenant(parts, asked, secret))];
  const { secretId, name, keyId } = secret;
  return entries.map((entry) => ({ keyId, aliases: [...key.aliases], secret: { secretId, name }, ...entry }));
}

/** Entries of one operation. */
export const onlyFor = (operation: WhoCanEntry['operations'][number] | undefined, entries: readonly WhoCanEntry[]): WhoCanEntry[] =>
  operation === undefined
    ? [...entries]
    : entries.filter(({ operations }) => operations.includes(operation)).map((entry) => ({ ...entry, operations: [operation] }));

/** By grants: of the secret, and for its values of the key that seals them. */
function granted({ tools }: WhoCanSecretParts, { call, snapshot: { rules } }: Asked, secret: StoredSecret, key: SnapshotKey): Entry[] {
  const { policy, stops, services, suspended } = rules;
  if (suspended) return [];
  const tenant = { tenant: call.tenant, document: policy?.document, stops };
  const ofKey = key.state === 'Enabled' && secret.deletionAt === undefined ? tools.whoCan(tenant, key) : [];
  const limited = new Set(policy?.document.grants.flatMap(({ id, limits }) => (limits === undefined ? [] : [id])));
  return tools
    .whoCan(tenant, { keyId: undefined, secret: secret.name, aliases: [], tags: {} })
    .flatMap(({ subject, role, grant, conditions, except, operations }): Entry[] => {
      /** Of one operation: grants of the key that it needs, none of which counts if it is limited and this is a put. */
      const keyGrants = (operation: SecretUse): readonly WhoCan[] | undefined => {
        if (operation !== 'GetSecretValue' && operation !== 'PutSecretValue') return undefined;
        const isPut = operation === 'PutSecretValue';
        if (isPut && (limited.has(grant) || refusalOfPut(secret, true, []) !== undefined)) return [];
        const use = SEALING_USES[operation];
        const own = ofKey.filter((one) => one.subject === subject && mayAsk(services, subject, one.operations).includes(use));
        return isPut ? own.filter((one) => !limited.has(one.grant)) : own;
      };
      const possible = (mayAsk(services, subject, operations) as SecretUse[]).filter((one) => keyGrants(one)?.length !== 0);
      if (possible.length === 0) return [];
      const needs = possible.flatMap((operation) => keyGrants(operation)?.map((one) => needed(operation, one)) ?? []);
      return [
        {
          ...{ subject, operations: possible, grant, ...(role !== undefined && { role }) },
          conditions: [conditions, ...new Set(needs)].filter((text) => text !== '').join(', '),
          except: [...except],
        },
      ];
    });
}

const needed = (operation: SecretUse, { grant, conditions, except }: WhoCan): string => {
  const when = [conditions, ...except.map((what) => `except ${what}`)].filter((text) => text !== '').join('; ');
  return `${operation} by ${grant} of the key${when === '' ? '' : ` (${when})`}`;
};

/** Without a grant: its admins, and the worker as a rotation policy says. Stops and the key's state hold for them, too. */
async function ofTheTenant({ grants }: WhoCanSecretParts, { snapshot, now }: Asked, secret: StoredSecret): Promise<Entry[]> {
  const { secretId, keyId, rotation, connects } = secret;
  const mayUse = async (subject: 'admin' | 'worker', operation: 'GetSecretValue' | 'PutSecretValue') => {
    const context = secretContext({ secretId, versionId: '' });
    const wish = { use: SEALING_USES[operation], keyId, versionId: undefined, context };
    return secret.deletionAt === undefined && (await ownKeyUse(grants, subject, snapshot, wish, now, { details: {} })).error === undefined;
  };
  const values = async (subject: 'admin' | 'worker') => [
    ...((await mayUse(subject, 'GetSecretValue')) ? (['GetSecretValue'] as const) : []),
    ...((await mayUse(subject, 'PutSecretValue')) ? (['PutSecretValue'] as const) : []),
  ];
  const worker = rotation === undefined && connects !== true ? [] : await values('worker');
  const rotates = { subject: 'worker', grant: `secret-rotation:${secretId}`, conditions: 'by its rotation policy', except: [] };
  const reaches = {
    ...rotates,
    grant: 'secret-rotation',
    conditions: 'to reach the target of another secret, by that one’s rotation policy',
  };
  return [
    { ...ADMINS, operations: [...(await values('admin')), 'DescribeSecret'] },
    ...(rotation !== undefined && worker.length > 0 ? [{ ...rotates, operations: worker }] : []),
    ...(connects === true && worker.includes('GetSecretValue') ? [{ ...reaches, operations: ['GetSecretValue' as const] }] : []),
  ];
}
