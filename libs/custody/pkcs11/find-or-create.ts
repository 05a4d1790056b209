import { CustodyUnavailable } from '#core';
import type { KeyHandle } from './cryptoki.js';
import type { OpenToken } from './open-token.js';
import type { Template } from './template.js';

/**
 * The one object that carries this name, made if there is none; `create` answers every object that it made. Another custodian on
 * the same token may do the same at the same moment, and PKCS#11 has no unique names: whoever then sees two destroys its own
 * (never the other's, which may already have wrapped a key), and the caller tries again.
 * @throws CustodyUnavailable when there are two.
 */
export function findOrCreate(token: OpenToken, name: Template, create: () => readonly KeyHandle[]): KeyHandle {
  const found = only(token, name);
  if (found !== undefined) return found;
  const own = create();
  const [made, ...others] = token.find(name);
  if (made !== undefined && others.length === 0) return made;
  for (const object of own) token.cryptoki.destroy(token.holder, object);
  throw new CustodyUnavailable('another custodian made the same object');
}

/** The one object of this name, if there is one. @throws CustodyUnavailable when there are several. */
export function only(token: OpenToken, name: Template): KeyHandle | undefined {
  const [found, ...others] = token.find(name);
  if (others.length > 0) throw new CustodyUnavailable('several objects of one name on the token');
  return found;
}
