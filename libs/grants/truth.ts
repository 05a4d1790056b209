import type { GrantRequest } from '#core';

/** `unknown`: the request does not carry what the condition asks about. */
export type Truth = true | false | 'unknown';

/** What conditions may look at. */
export type Circumstances = Pick<GrantRequest, 'context' | 'at' | 'sourceAddress' | 'authMethod' | 'justification'>;

/** Pure and synchronous. */
export type Condition = (circumstances: Circumstances) => Truth;

export const unknown: Condition = () => 'unknown';
