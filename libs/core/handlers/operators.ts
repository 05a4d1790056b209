import { type KeyObject, randomBytes } from 'node:crypto';
import { PLATFORM, type PrincipalName, type ServiceName } from '#contract';
import { KeywardError } from '../errors.js';
import { newLogId } from '../identifiers.js';
import type { Handlers } from '../pipeline.js';
import type { Custody } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import { issueCredential } from './issue-credential.js';
import { vkeyOf } from './vkey.js';

/** How long an enrolment code may wait for the tenant's first admin. */
const ENROLMENT_DAYS = 7;

type OperatorOperation =
  | 'OnboardTenant'
  | 'ListTenants'
  | 'RegisterService'
  | 'ListServices'
  | 'IssueServiceCredential'
  | 'ListServiceCredentials'
  | 'RevokeServiceCredential';

export interface OperatorParts {
  readonly custody: Custody;
  readonly reads: Reads;
  readonly pepper: KeyObject;
  /** First part of every log's origin. */
  readonly platformHost: string;
}

/** What the ISV's operators do. None of it touches a tenant's keys or rules. */
export function operatorHandlers({ custody, reads, pepper, platformHost }: OperatorParts): Handlers<OperatorOperation> {
  const known = async (service: ServiceName) => {
    if (!(await reads.serviceExists(service))) throw new KeywardError('not-found', 'There is no such service.');
  };
  return {
    OnboardTenant: async ({ input, now, permit }) => {
      const { tenant } = input;
      // Before anything is made in the HSM: what a refused call left there, nobody would remove.
      if (await reads.tenantExists(tenant)) throw new KeywardError('already-exists', 'There is such a tenant.');
      const logId = newLogId(now);
      const origin = `${platformHost}/audit/${logId}`;
      await custody.createTenantRoot(permit({ tenant }));
      const { publicKey } = await custody.createLogKey(permit({ tenant }), logId);
      const vkey = vkeyOf(origin, publicKey);
      const { answer, row } = issueCredential(
        pepper,
        { tenant, principal: 'enrolment' as PrincipalName, role: 'enrolment', days: ENROLMENT_DAYS },
        now,
      );
      return {
        answer: { tenant, enrolmentCode: answer.apiKey, expiresAt: answer.expiresAt, vkey },
        details: { change: { tenant, log: logId, credentialId: row.credentialId } },
        apply: (writes) =>
          writes.insertTenant({
            ...input,
            log: { logId, origin, vkey },
            contextSalt: randomBytes(32),
            createdAt: new Date(now),
            enrolment: row,
          }),
      };
    },

    ListTenants: async ({ input }) => ({ answer: await reads.tenants(input), details: {} }),

    RegisterService: async ({ input, now }) => {
      const { service, description } = input;
      return {
        answer: { service, description, createdAt: new Date(now).toISOString() },
        details: { change: { service } },
        apply: (writes) => writes.insertService({ service, description, createdAt: new Date(now) }),
      };
    },

    ListServices: async ({ input }) => ({ answer: await reads.services(input), details: {} }),

    IssueServiceCredential: async ({ input, now }) => {
      await known(input.service);
      const principal = input.service as string as PrincipalName;
      const { answer, row } = issueCredential(pepper, { tenant: PLATFORM, principal, role: 'service', days: input.expiresInDays }, now);
      return {
        answer,
        details: { change: { service: input.service, credentialId: row.credentialId } },
        apply: (writes) => writes.insertCredential(row),
      };
    },

    ListServiceCredentials: async ({ input: { service, ...query } }) => {
      await known(service);
      return { answer: await reads.credentials(PLATFORM, query, service), details: {} };
    },

    RevokeServiceCredential: async ({ input, now }) => ({
      answer: undefined,
      details: { change: { service: input.service, credentialId: input.credentialId } },
      apply: (writes) => writes.revokeCredential(input.credentialId, new Date(now), input.service),
    }),
  };
}
