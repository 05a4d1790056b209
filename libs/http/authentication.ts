import passport from 'passport';
import { Strategy } from 'passport-custom';
import { type Credentials, KeywardError, type Principal } from '#core';

/** What the strategy is given instead of the request: nothing else of it has been looked at yet. */
interface Presented {
  readonly apiKey: string;
}

export type KnownCredentials = Pick<Credentials, 'cached' | 'authenticate'>;

export const unauthenticated = (reason: string): KeywardError => new KeywardError('unauthenticated', '', { reason });

/** The API key of `Authorization: Bearer kw_…` (RFC 6750 §2.1), undefined for everything else. */
export function bearerKey(header: string | undefined): string | undefined {
  return header !== undefined && /^bearer kw_[\x21-\x7e]+$/i.test(header) ? header.slice(7) : undefined;
}

/** Look-ups under way in one process: enough for every client that starts anew, too few to queue before the database's connections. */
export const MAX_LOOK_UPS = 64;

/** Who presents this API key? Known keys are answered from the cache, all others through Passport. */
export class Authentication {
  readonly #passport = new passport.Passport();
  #lookUps = 0;

  constructor(private readonly credentials: KnownCredentials) {
    const strategy = new Strategy((presented, done) => {
      credentials.authenticate((presented as unknown as Presented).apiKey).then((principal) => done(null, principal), done);
    });
    this.#passport.use('api-key', strategy);
  }

  cached(apiKey: string): Principal | undefined {
    return this.credentials.cached(apiKey);
  }

  /** @throws KeywardError `unauthenticated`, or `unavailable` when that cannot be known now */
  async authenticate(apiKey: string): Promise<Principal> {
    if (this.#lookUps >= MAX_LOOK_UPS) throw new KeywardError('unavailable', '', { reason: 'too many credential look-ups' });
    this.#lookUps++;
    try {
      return await this.#throughPassport(apiKey);
    } finally {
      this.#lookUps--;
    }
  }

  #throughPassport(apiKey: string): Promise<Principal> {
    const { promise, resolve, reject } = Promise.withResolvers<Principal>();
    const settle = (error: unknown, principal: Principal | false | undefined) => {
      if (error) reject(error);
      else if (principal) resolve(principal);
      else reject(unauthenticated('unknown'));
    };
    // Passport's types know Express's middleware only; this one reads nothing but what the strategy reads.
    const middleware = this.#passport.authenticate('api-key', { session: false }, settle) as (
      presented: Presented,
      response: object,
      next: (error: unknown) => void,
    ) => void;
    middleware({ apiKey }, {}, reject);
    return promise;
  }
}
