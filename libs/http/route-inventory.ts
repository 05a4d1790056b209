import type { FastifyInstance } from 'fastify';
import type { OperationName } from '#contract';
import './request.js';

/** One route as Fastify knows it; HEAD and OPTIONS are routes of their own. */
export interface Route {
  readonly method: string;
  readonly url: string;
  readonly operation: OperationName | undefined;
  /** Why it is public; undefined for all others. */
  readonly public: string | undefined;
  readonly batch: boolean;
}

const inventories = new WeakMap<FastifyInstance, Route[]>();

/** Collects the routes that are added to this instance from now on. @throws Error, at start, for one without operation and `@Public` */
export function keepInventory(instance: FastifyInstance): void {
  const routes: Route[] = [];
  inventories.set(instance, routes);
  instance.addHook('onRoute', (route) => {
    const { operation, public: reason, bodyLimit, batch = false } = route.config ?? {};
    const methods = [route.method].flat();
    // Deny by default: whoever forgets the decorator learns it at start, not an attacker at run time.
    if ((operation === undefined) === (reason === undefined))
      throw new Error(`${methods.join()} ${route.url} needs either @Operation or @Public.`);
    if (bodyLimit !== undefined) route.bodyLimit = bodyLimit;
    for (const method of methods) routes.push({ method, url: route.url, operation, public: reason, batch });
  });
}

/** Every route of a plane, from Fastify's own registry. */
export const routesOf = (instance: FastifyInstance): readonly Route[] => inventories.get(instance) ?? [];
