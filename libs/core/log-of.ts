import { type OperationName, PLATFORM, type TenantId } from '#contract';
import type { Call } from './call.js';
import type { Snapshot } from './snapshot.js';

/**
 * Whose log: a service's call belongs to the tenant it asked for, everybody else's to their own. A tenant's log begins with its
 * admin's enrolment, so what is refused before that goes to the platform's.
 */
export function logOf(operation: OperationName, { principal, tenant, refusedAtEdge }: Call, target: Snapshot | undefined): TenantId {
  if (principal.role === 'service') return target?.rules.state === 'Active' ? tenant : PLATFORM;
  if (principal.role === 'enrolment') return operation === 'Enrol' && principal.tenant === tenant && !refusedAtEdge ? tenant : PLATFORM;
  return principal.tenant;
}
