import passport from 'passport';
import { Strategy } from 'passport-custom';
import type { TenantId } from '#contract';
import type { Clock, Principal } from '#core';
import { isApiKey, type Presented, textOfPerson } from './bearer.js';
import { Bulkhead } from './bulkhead.js';
import type { EdgeLog } from './edge-log.js';
import type { Egress } from './egress/egress.js';
import type { KnownCredentials } from './known-credentials.js';
import { PeopleTokens } from './people-tokens.js';
import { ServiceTokens } from './service-tokens.js';
import { unauthenticated } from './unauthenticated.js';

/** Which tokens a plane takes besides API keys; none where absent. */
export interface AcceptedTokens {
  /** People, by their tenant's identity provider. */
  readonly people?: { readonly egress: Pick<Egress, 'json'> };
  /** Services, by their own signature; `audience` is what they sign it for. */
  readonly services?: { readonly audience: string };
}

/** Look-ups under way in one process, of each method: enough for every client that starts anew, too few to queue before the database's connections. */
export const MAX_LOOK_UPS = 64;
/** Of those, for the people of one tenant: its identity provider may be slow, and the tenant hostile. */
export const MAX_LOOK_UPS_OF_TENANT = 16;
/** An answer that ends within this is made anew, so that no call starts with one that ends under it. */
const RENEW_MS = 5000;

type Method = Presented['method'];
type Strategies = { readonly [Name in Method]?: (presented: Extract<Presented, { method: Name }>) => Promise<Principal> };

/** Who presents this API key, or this token? Known ones are answered from the cache, all others through Passport. */
export class Authentication {
  readonly #passport = new passport.Passport();
  readonly #methods: ReadonlySet<string>;
  readonly #all = new Bulkhead(MAX_LOOK_UPS);
  readonly #ofTenant = new Bulkhead(MAX_LOOK_UPS_OF_TENANT);
  readonly #underWay = new Map<string, Promise<Principal>>();

  constructor(
    private readonly credentials: KnownCredentials,
    accepted: AcceptedTokens,
    private readonly clock: Clock,
    log: EdgeLog,
  ) {
    const people = accepted.people && new PeopleTokens(credentials, accepted.people.egress, clock, log);
    const services = accepted.services && new ServiceTokens(credentials, accepted.services.audience, clock);
    const strategies: Strategies = {
      'api-key': ({ text }) => credentials.authenticate(text),
      ...(people && { oidc: (presented) => people.authenticate(presented) }),
      ...(services && { 'private-key-jwt': (presented) => services.authenticate(presented) }),
    };
    this.#methods = new Set(Object.keys(strategies));
    for (const [method, identify] of Object.entries(strategies)) this.#passport.use(method, strategyOf(identify as Identify));
  }

  /** @param tenant of the request's path */
  cached(bearer: string, tenant: TenantId | undefined): Principal | undefined {
    if (isApiKey(bearer)) return this.credentials.cached(bearer);
    const service = this.#methods.has('private-key-jwt') ? this.credentials.cached(bearer) : undefined;
    if (service !== undefined || tenant === undefined || !this.#methods.has('oidc')) return service;
    const person = this.credentials.cached(textOfPerson(bearer, tenant));
    return person !== undefined && person.expiresAt.getTime() - this.clock.now().getTime() > RENEW_MS ? person : undefined;
  }

  accepts(method: Method): boolean {
    return this.#methods.has(method);
  }

  /** @throws KeywardError `unauthenticated`, or `unavailable` when that cannot be known now */
  async authenticate(presented: Presented): Promise<Principal> {
    if (presented.method === 'api-key') return await this.#lookUp(presented);
    // Everybody's token ends some time, in the midst of its holder's calls: one of them looks for all.
    const { text } = presented;
    const known = this.#underWay.get(text);
    if (known !== undefined) return await known;
    const lookUp = this.#lookUp(presented).finally(() => this.#underWay.delete(text));
    this.#underWay.set(text, lookUp);
    return await lookUp;
  }

  #lookUp(presented: Presented): Promise<Principal> {
    const work = () => this.#all.run(presented.method, () => this.#throughPassport(presented));
    return presented.method === 'oidc' ? this.#ofTenant.run(presented.tenant, work) : work();
  }

  #throughPassport(presented: Presented): Promise<Principal> {
    const { promise, resolve, reject } = Promise.withResolvers<Principal>();
    const settle = (error: unknown, principal: Principal | false | undefined) => {
      if (error) reject(error);
      else if (principal) resolve(principal);
      else reject(unauthenticated('unknown'));
    };
    // Passport's types know Express's middleware only; this one reads nothing but what the strategy reads.
    const middleware = this.#passport.authenticate(presented.method, { session: false }, settle) as (
      presented: Presented,
      response: object,
      next: (error: unknown) => void,
    ) => void;
    // Passport writes to what it is given.
    middleware({ ...presented }, {}, reject);
    return promise;
  }
}

type Identify = (presented: Presented) => Promise<Principal>;

/** What the strategy is given instead of the request: nothing else of it has been looked at yet. */
const strategyOf = (identify: Identify) =>
  new Strategy((presented, done) => {
    identify(presented as unknown as Presented).then((principal) => done(null, principal), done);
  });
