import type { PolicyDocument } from '#contract';
import type { Handlers } from '../pipeline.js';
import { subjectOf } from '../principal.js';
import type { RuleWatch } from '../rule-watch.js';
import type { Snapshots } from '../snapshot.js';

/** Services listen for changes of a tenant's rules. */
export function watchHandlers(watch: RuleWatch, snapshots: Snapshots): Handlers<'WatchRules'> {
  return {
    WatchRules: async ({ call: { tenant }, principal, snapshot }) => {
      const subject = subjectOf(principal);
      const named = isNamed(subject, snapshot.rules.policy?.document);
      const mayHear = async () => {
        snapshots.forget(tenant);
        return isNamed(subject, (await snapshots.of(tenant))?.rules.policy?.document);
      };
      return { answer: watch.events(tenant, snapshot.rules.epochs, named, mayHear), details: {} };
    },
  };
}

/** Does some grant name this service, by itself or by a role? */
function isNamed(subject: string, document: PolicyDocument | undefined): boolean {
  if (document === undefined) return false;
  const roles = Object.entries(document.roles).flatMap(([name, subjects]) =>
    subjects.some((one) => one === subject) ? [`role:${name}`] : [],
  );
  return document.grants.some(({ subjects }) => subjects.some((one) => one === subject || roles.includes(one)));
}
