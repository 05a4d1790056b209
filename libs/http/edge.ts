import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { OperationName } from '#contract';
import { type Call, type Clock, KeywardError, newRequestId, OPERATIONS, type Principal, type RateClass, refusalByRole } from '#core';
import type { Authentication } from './authentication.js';
import { bearerOf, presentedBy } from './bearer.js';
import { type Arrival, callOf, tenantOf } from './edge-call.js';
import { keywardError } from './edge-errors.js';
import type { EdgeLog } from './edge-log.js';
import { sendProblem } from './problem.js';
import type { RateLimits } from './rate-limits.js';
import type { SourceAddress } from './source-address.js';
import { isCounted } from './tenant-rates.js';
import { unauthenticated } from './unauthenticated.js';
import { whenAnswered } from './wiping.js';
import './request.js';

type Done = () => void;

/**
 * What every request passes before its body is parsed: who is calling, and not too often. It runs after routing and decides by the
 * route that was found, never by the path's text, so no spelling of a path (`//`, `%61`, absolute form) leads around it;
 * whatever is not declared public, unknown routes included, needs a credential.
 */
export class Edge {
  #closing = false;

  constructor(
    private readonly authentication: Authentication,
    private readonly limits: RateLimits,
    private readonly clock: Clock,
    private readonly log: EdgeLog,
    private readonly sourceAddress: SourceAddress,
  ) {}

  install(instance: FastifyInstance): void {
    instance.decorateRequest('operation', null);
    instance.decorateRequest('call', null);
    instance.addHook('preClose', async () => void (this.#closing = true));
    instance.addHook('onRequest', (request, reply, done) => this.#enter(request, reply, done));
  }

  /** The router's own refusals (a malformed path) happen before any hook: they need a credential too. */
  async refuseUnrouted(error: Error, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    markAnswer(reply);
    const principal = await this.#caller(request, { tenant: undefined, sourceAddress: this.sourceAddress(request.raw) }).catch(
      keywardError,
    );
    sendProblem(reply, principal instanceof KeywardError ? principal : keywardError(error));
  }

  newRequestId(): string {
    return newRequestId(this.clock.now().getTime());
  }

  #enter(request: FastifyRequest, reply: FastifyReply, done: Done): void {
    markAnswer(reply);
    if (this.#closing) return void sendProblem(reply, new KeywardError('unavailable'));
    const { config } = request.routeOptions;
    if (config.public !== undefined) return done();
    request.operation = config.operation ?? null;
    // What is thrown here, by `done` too, has nobody else to catch it: it would end the process.
    this.#admit(request, reply)
      .then((wait) => (wait === undefined ? done() : void sendProblem(reply, new KeywardError('too-many-requests'), wait)))
      .catch((error: unknown) => this.#refuse(request, reply, keywardError(error)));
  }

  /** Seconds to wait, or undefined for a caller who is known and not too quick. */
  async #admit(request: FastifyRequest, reply: FastifyReply): Promise<number | undefined> {
    const startedAt = this.clock.now().getTime();
    const arrival = { tenant: tenantOf(request.params), sourceAddress: this.sourceAddress(request.raw) };
    const principal = await this.#caller(request, arrival);
    const { operation } = request;
    const call = callOf(request, arrival, principal, startedAt);
    request.call = call;
    // An unknown route, told to callers we know only: its handler answers 404.
    if (operation === null) return undefined;
    const rateClass = rateClassOf(operation, call);
    if (rateClass !== 'stop') {
      const { wait, headers } = await this.limits.spend(rateClass, principal.credentialId);
      reply.headers(headers);
      if (wait === undefined && isCounted(operation, call)) this.limits.tenants.admit(rateClass, call);
      return wait;
    }
    const end = await this.limits.stops.take(principal.credentialId);
    whenAnswered(reply.raw, request.raw.socket, end);
    // It waited for its turn through no fault of its own: its time to answer begins now.
    request.call = { ...call, startedAt: this.clock.now().getTime() };
    return undefined;
  }

  async #caller(request: FastifyRequest, arrival: Arrival): Promise<Principal> {
    const bearer = bearerOf(request.headers.authorization);
    // No look-up, so nothing to count.
    if (bearer === undefined) throw unauthenticated('no credential');
    return this.authentication.cached(bearer, arrival.tenant) ?? (await this.#identify(bearer, arrival));
  }

  async #identify(bearer: string, { tenant, sourceAddress }: Arrival): Promise<Principal> {
    const presented = presentedBy(bearer, tenant);
    if (presented === undefined || !this.authentication.accepts(presented.method)) throw unauthenticated('no credential for this plane');
    const { claimed } = presented;
    const wait = await this.limits.waitAfterFailures(sourceAddress, claimed);
    if (wait !== undefined) throw new KeywardError('too-many-requests', '', { reason: 'failed authentications' });
    try {
      return await this.authentication.authenticate(presented);
    } catch (error) {
      if (keywardError(error).code === 'unauthenticated') await this.limits.failed(sourceAddress, claimed);
      throw error;
    }
  }

  #refuse(request: FastifyRequest, reply: FastifyReply, error: KeywardError): void {
    this.log.failed(error, request.id);
    if (!reply.sent) sendProblem(reply, error);
  }
}

/** Only who may make this very stop is never too quick for it; for all others it is a change like any other. */
function rateClassOf(operation: OperationName, call: Call): RateClass {
  const row = OPERATIONS[operation];
  return row.rateClass !== 'stop' || refusalByRole(row, call.principal, call) === undefined ? row.rateClass : 'manage';
}

/** On every answer, whatever becomes of it: our id, and that nobody may keep it. */
function markAnswer(reply: FastifyReply): void {
  reply.header('x-request-id', reply.request.id);
  reply.header('cache-control', 'no-store');
}
