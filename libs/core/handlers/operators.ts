import { randomBytes } from 'node:crypto';
import { PLATFORM, type PrincipalName, type ServiceName, type ServiceSummary } from '#contract';
import { KeywardError } from '../errors.js';
import { newLogId } from '../identifiers.js';
import type { Handlers } from '../pipeline.js';
import type { Custody, RuleBindings } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import type { Writes } from '../ports/writes.js';
import { saying } from '../record.js';
import { changedFields } from './changed-fields.js';
import { type CredentialParts, issueCredential } from './issue-credential.js';
import { vkeyOf } from './vkey.js';

/** How long an enrolment code may wait for the tenant's first admin. */
const ENROLMENT_DAYS = 7;

type OperatorOperation =
  | 'OnboardTenant'
  | 'ListTenants'
  | 'RegisterService'
  | 'ListServices'
  | 'PutCatalogueEntry'
  | 'SuspendService'
  | 'ResumeService'
  | 'SuspendTenant'
  | 'ResumeTenant'
  | 'ListSuspensions'
  | 'IssueServiceCredential'
  | 'ListServiceCredentials'
  | 'RevokeServiceCredential';

export interface OperatorParts extends CredentialParts {
  readonly custody: Custody & Pick<RuleBindings, 'bindRule'>;
  readonly reads: Reads;
  /** First part of every log's origin. */
  readonly platformHost: string;
}

/** What the ISV's operators do. None of it touches a tenant's keys or rules. */
export function operatorHandlers(parts: OperatorParts): Handlers<OperatorOperation> {
  const { custody, reads, platformHost } = parts;
  const known = async (service: ServiceName): Promise<ServiceSummary> => {
    const found = await reads.service(service);
    if (found === undefined) throw new KeywardError('not-found', 'There is no such service.');
    return found;
  };
  const suspend = async (service: ServiceName, suspended: boolean) => {
    const before = await known(service);
    return {
      answer: { ...before, suspended },
      details: { change: { service, ...changedFields({ suspended: before.suspended }, { suspended }) } },
      apply: (writes: Writes) => writes.setServiceSuspended(service, suspended),
    };
  };
  return {
    OnboardTenant: async ({ input, now, permit }) => {
      const { tenant } = input;
      // Before anything is made in the HSM: what a refused call left there, nobody would remove.
      if (await reads.tenantExists(tenant)) throw new KeywardError('already-exists', 'There is such a tenant.');
      const logId = newLogId(now);
      const origin = `${platformHost}/audit/${logId}`;
      const { token: hsm } = await custody.capabilities();
      await custody.createTenantRoot(permit({ tenant }), 0);
      const { publicKey } = await custody.createLogKey(permit({ tenant }), 1);
      const vkey = vkeyOf(origin, publicKey);
      const order = { tenant, principal: 'enrolment' as PrincipalName, role: 'enrolment' as const, days: ENROLMENT_DAYS };
      const { answer, row } = await issueCredential(parts, permit({ tenant }), order, now);
      return {
        answer: { tenant, enrolmentCode: answer.apiKey ?? '', expiresAt: answer.expiresAt, vkey },
        details: { hsm, change: { tenant, log: logId, credentialId: row.credentialId } },
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
      const { service, description, operations } = input;
      return {
        answer: { service, description, operations, suspended: false, createdAt: new Date(now).toISOString() },
        details: { change: { service, operations: operations.join(' ') } },
        apply: (writes) => writes.insertService({ service, description, operations, createdAt: new Date(now) }),
      };
    },

    /** What the service may ask for; a tenant's grant must allow it as well. */
    PutCatalogueEntry: async ({ input: { service, operations } }) => {
      const before = await known(service);
      const change = changedFields({ operations: before.operations.join(' ') }, { operations: operations.join(' ') });
      return {
        answer: { ...before, operations },
        details: { change: { service, ...change } },
        apply: (writes) => writes.setServiceOperations(service, operations),
      };
    },

    SuspendService: ({ input }) => suspend(input.service, true),
    ResumeService: ({ input }) => suspend(input.service, false),

    /** The ISV may only reduce: services use no key of the tenant; its admins and auditors are not affected. */
    SuspendTenant: async ({ input: { suspended, reason }, principal, now }) => {
      if (suspended === PLATFORM || !(await reads.tenantExists(suspended))) throw new KeywardError('not-found', 'There is no such tenant.');
      const answer = { tenant: suspended, reason, suspendedBy: principal.name, suspendedAt: new Date(now).toISOString() };
      const details = { change: { suspendedTenant: suspended }, ...saying(reason) };
      return { answer, details, apply: (writes) => writes.putSuspension(answer) };
    },

    ResumeTenant: async ({ input: { suspended } }) => ({
      answer: undefined,
      details: { change: { suspendedTenant: suspended } },
      apply: (writes) => writes.deleteSuspension(suspended),
    }),

    ListSuspensions: async ({ input }) => ({ answer: await reads.suspensions(input), details: {} }),

    ListServices: async ({ input }) => ({ answer: await reads.services(input), details: {} }),

    IssueServiceCredential: async ({ input, now, permit }) => {
      const { service, expiresInDays: days, publicKey } = input;
      await known(service);
      const principal = service as string as PrincipalName;
      const order = { tenant: PLATFORM, principal, role: 'service' as const, days, ...(publicKey && { publicKey }) };
      const { answer, row } = await issueCredential(parts, permit(), order, now);
      return {
        answer,
        details: { change: { service, credentialId: row.credentialId, authMethod: row.authMethod } },
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
