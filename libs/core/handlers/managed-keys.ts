import { managedBy, type ServiceName } from '#contract';
import { InvalidRequest, KeywardError } from '../errors.js';
import type { SnapshotKey } from '../snapshot.js';

/** What is told of a key that is kept for a service. */
export function keptFor(aliases: readonly string[]): { readonly managedBy?: ServiceName } {
  const service = managedBy(aliases);
  return service === undefined ? {} : { managedBy: service };
}

/**
 * What would take a key from the service that it is kept for has to name that service: nobody does it by mistake. While nobody can tell
 * whether the key's names are genuine, they protect nothing. @throws KeywardError state-unchangeable, InvalidRequest for another service
 */
export function mustBeMeant({ aliases, unproven }: SnapshotKey, named: ServiceName | undefined): void {
  if (unproven === true) return;
  const service = managedBy(aliases);
  if (service === named) return;
  if (named !== undefined) throw new InvalidRequest([{ field: 'service', message: 'is not who the key is kept for' }]);
  const told = `The key is kept for the service ${service}: name it, as service, if you mean this key.`;
  throw new KeywardError('state-unchangeable', told, { reason: `managed-key: ${service}` });
}

/** @throws KeywardError state-unchangeable, while the key's deletion protection is on */
export function mustBeUnprotected({ deletionProtection }: SnapshotKey): void {
  if (deletionProtection) throw new KeywardError('state-unchangeable', 'Deletion protection is on.', { reason: 'deletion-protected' });
}
