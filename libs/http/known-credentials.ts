import type { Credentials } from '#core';
import { unauthenticated } from './unauthenticated.js';

/** Of core's credentials, what the edge asks. */
export type KnownCredentials = Pick<Credentials, 'cached' | 'authenticate' | 'serviceKey' | 'identityProvider' | 'ofService' | 'ofSubject'>;

const nobody = (): Promise<never> => Promise.reject(unauthenticated('no callers here'));

/** For servers that know nobody. */
export const noCredentials = {
  cached: () => undefined,
  authenticate: nobody,
  serviceKey: nobody,
  identityProvider: nobody,
  ofService: nobody,
  ofSubject: nobody,
} satisfies KnownCredentials;
