import { CustodyUnavailable } from '#core';
import type { KeyHandle } from './cryptoki.js';
import type { OpenToken } from './open-token.js';
import type { AttributeName } from './template.js';

/** Of whatever must never leave the HSM, nor ever have been outside. */
export const STAYS_INSIDE = { sensitive: true, extractable: false, alwaysSensitive: true, neverExtractable: true } as const;

/**
 * An object of the right name is not yet ours: whoever had the PIN could have put one there whose bytes he knows. `what` names it.
 * @throws CustodyUnavailable
 */
export function refuseWeak(
  token: OpenToken,
  what: string,
  object: KeyHandle,
  required: Readonly<Partial<Record<AttributeName, boolean>>>,
): void {
  for (const [name, wanted] of Object.entries(required) as [AttributeName, boolean][]) {
    const is = token.cryptoki.attribute(token.holder, object, name)[0] === 1;
    if (is !== wanted) throw new CustodyUnavailable(`${what} has ${name} = ${is}`);
  }
}
