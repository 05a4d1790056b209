import type { RoleManager } from 'casbin';
import type { PolicyDocument, TenantId } from '#contract';

const refuse = (): Promise<never> =>
  Promise.reject(new Error('Roles are part of an immutable policy; they are neither edited nor listed here.'));

/**
 * The `g` of the model for one tenant's document: a subject is itself, or a member of a role of one level.
 * Instead of Casbin's own: there a caller *named* `role:x` is the role, every asked domain is kept for ever, and links are built
 * asynchronously, so that a guardrail on a role is missing meanwhile.
 */
export class DocumentRoles implements RoleManager {
  readonly #members: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(
    private readonly tenant: TenantId,
    roles: PolicyDocument['roles'],
  ) {
    this.#members = new Map(Object.entries(roles).map(([name, members]) => [`role:${name}`, new Set(members)]));
  }

  syncedHasLink(subject: string, pattern: string, ...[tenant]: string[]): boolean {
    if (tenant !== this.tenant) return false;
    return pattern.startsWith('role:') ? this.#members.get(pattern)?.has(subject) === true : subject === pattern;
  }

  readonly clear = refuse;
  readonly addLink = refuse;
  readonly deleteLink = refuse;
  readonly hasLink = refuse;
  readonly getRoles = refuse;
  readonly getUsers = refuse;
  readonly printRoles = refuse;
  readonly getDomains = refuse;
  readonly getAllDomains = refuse;
}
