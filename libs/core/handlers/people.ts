import { randomUUID } from 'node:crypto';
import type { IdentityProviderAnswer, IdentityProviderRequest, IssueCredentialRequest, IssuedCredential, TenantId } from '#contract';
import { type ApiKey, apiKeyMac, parseApiKey, sameMac } from '../api-key.js';
import { identityProviderRow } from '../bound-rows.js';
import { InvalidRequest, KeywardError } from '../errors.js';
import type { Handlers, Prepared } from '../pipeline.js';
import type { RuleBindings } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import type { RuleStore, StoredCredential, StoredIdentityProvider } from '../ports/rules.js';
import type { PersonalField } from '../record.js';
import { changedFields } from './changed-fields.js';
import { type CredentialParts, issueCredential } from './issue-credential.js';

const ADMIN_DAYS = 366;

type PeopleOperation =
  | 'Enrol'
  | 'IssueCredential'
  | 'ListCredentials'
  | 'RevokeCredential'
  | 'PutIdentityProvider'
  | 'GetIdentityProvider'
  | 'DeleteIdentityProvider';

export interface PeopleParts extends CredentialParts {
  readonly custody: Pick<RuleBindings, 'bindRule'>;
  readonly reads: Reads;
  readonly rules: Pick<RuleStore, 'identityProvider' | 'credential'>;
}

/** A tenant's own people: who they are, and who vouches for them. The ISV has no hand in it after the enrolment code. */
export function peopleHandlers(parts: PeopleParts): Handlers<PeopleOperation> {
  const { custody, reads, rules } = parts;
  const provider = async (tenant: TenantId): Promise<StoredIdentityProvider> => {
    const found = await rules.identityProvider(tenant);
    if (found === undefined) throw new KeywardError('not-found', 'This tenant has no identity provider.');
    return found.provider;
  };
  return {
    /** Record 0 of the tenant's log: it names the first admin and the key that will sign the log. The code is spent in the same transaction. */
    Enrol: async ({ input, call, principal, snapshot, now, permit }) => {
      const { vkey } = snapshot.rules.log;
      const order = { tenant: call.tenant, principal: input.admin, role: 'admin' as const, days: ADMIN_DAYS };
      const { answer, row } = await issueCredential(parts, permit(), order, now);
      const { credentialId, apiKey = '', expiresAt } = answer;
      return {
        answer: { tenant: call.tenant, principal: input.admin, credentialId, apiKey, expiresAt, vkey },
        details: { change: { role: 'admin', credentialId, vkey }, personal: [person(input.admin)] },
        apply: async (writes) => {
          await writes.revokeCredential(principal.credentialId, new Date(now));
          await writes.activateTenant();
          await writes.insertCredential(row);
        },
      };
    },

    IssueCredential: async ({ input, call, now, permit }) => {
      const { principal, role, expiresInDays: days, subject } = input;
      const apiKey = input.apiKey === undefined ? undefined : apiKeyOf(call.tenant, input.apiKey);
      const known = apiKey && (await rules.credential(call.tenant, apiKey.credentialId))?.credential;
      if (apiKey !== undefined && known !== undefined) return issuedAgain(parts, known, input, apiKey);
      const signsIn = subject === undefined ? {} : { person: { subject, issuer: (await provider(call.tenant)).issuer } };
      const { answer, row } = await issueCredential(
        parts,
        permit(),
        { tenant: call.tenant, principal, role, days, ...signsIn, apiKey },
        now,
      );
      return {
        answer,
        details: {
          change: { role, credentialId: row.credentialId, authMethod: row.authMethod },
          personal: [person(principal), ...(subject === undefined ? [] : [{ name: 'subject' as const, value: subject, whose: principal }])],
        },
        apply: (writes) => writes.insertCredential(row),
      };
    },

    ListCredentials: async ({ input, call }) => ({ answer: await reads.credentials(call.tenant, input), details: {} }),

    RevokeCredential: async ({ input, now }) => ({
      answer: undefined,
      details: { change: { credentialId: input.credentialId } },
      apply: (writes) => writes.revokeCredential(input.credentialId, new Date(now)),
    }),

    /** Tokens that were accepted under another provider, or another setting of this one, count no more. */
    PutIdentityProvider: async ({ input, call, principal, now, permit }) => {
      const answer: IdentityProviderAnswer = { ...input, changedBy: principal.name, changedAt: new Date(now).toISOString() };
      const unbound = { ...answer, version: randomUUID() };
      const mac = await custody.bindRule(permit(), identityProviderRow(call.tenant, unbound));
      const before = (await rules.identityProvider(call.tenant))?.provider;
      return {
        answer,
        details: { change: changedFields(before === undefined ? {} : told(before), told(input)) },
        apply: (writes) => writes.putIdentityProvider({ ...unbound, mac }),
      };
    },

    GetIdentityProvider: async ({ call }) => {
      const { mac: _, version: __, ...answer } = await provider(call.tenant);
      return { answer, details: {} };
    },

    DeleteIdentityProvider: async ({ call }) => ({
      answer: undefined,
      details: { change: changedFields(told(await provider(call.tenant)), {}) },
      apply: (writes) => writes.deleteIdentityProvider(),
    }),
  };
}

/** @throws InvalidRequest */
function apiKeyOf(tenant: TenantId, text: string): ApiKey {
  const key = parseApiKey(text);
  if (key?.tenant !== tenant) throw new InvalidRequest([{ field: 'apiKey', message: 'must be a key of this tenant' }]);
  return key;
}

/** A key that its owner made, shown once more: the same is success, so that a call whose answer was lost can be made again. */
function issuedAgain(
  { pepper }: Pick<CredentialParts, 'pepper'>,
  known: StoredCredential,
  { principal, role }: IssueCredentialRequest,
  { secret }: ApiKey,
): Prepared<IssuedCredential> {
  const { credentialId, authMethod, expiresAt } = known;
  const same = known.principal === principal && known.role === role && sameMac(apiKeyMac(pepper, known, secret), known.mac);
  if (!same || known.revokedAt !== undefined)
    throw new KeywardError('already-exists', 'The credential is there, and is not this one.', { reason: 'credential-exists' });
  return {
    answer: { credentialId, principal, role, authMethod, expiresAt: expiresAt.toISOString() },
    details: { change: { role, credentialId, authMethod, again: true }, personal: [person(principal)] },
  };
}

const told = ({ issuer, audience, jwksUri, algorithms }: IdentityProviderRequest) => ({
  ...{ issuer, audience, jwksUri, algorithms: algorithms.join(' ') },
});

/** Whom a credential is for: a record tells it as a digest. */
const person = (name: string): PersonalField => ({ name: 'person', value: name, whose: name });
