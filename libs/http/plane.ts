import type { DynamicModule, Provider, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { ServerOptions } from 'node:https';
import { type Clock, KeywardError, Pipeline, type RateQuotaReads, systemClock } from '#core';
import { AnswerWriter } from './answer-writer.js';
import { type AcceptedTokens, Authentication } from './authentication.js';
import { Edge } from './edge.js';
import { EdgeLog, type Log } from './edge-log.js';
import { acceptBodies } from './json-body.js';
import type { KnownCredentials } from './known-credentials.js';
import { openApiOf } from './openapi.js';
import { serveHotRoutes, type Uses } from './hot-routes.js';
import { type MetricsSource, serveMetrics } from './metrics-route.js';
import { sendProblem } from './problem.js';
import { ProblemFilter, type Recorder } from './problem-filter.js';
import { PlaneAdapter } from './plane-adapter.js';
import { OPENAPI_DOCUMENT, PublicRoutes, READINESS, type ReadinessSource } from './public-routes.js';
import { RateLimits } from './rate-limits.js';
import { keepInventory } from './route-inventory.js';
import { sourceAddressBehind } from './source-address.js';
import { SchemaPipe } from './validation.js';

export interface PlaneParts {
  /** Title of its OpenAPI document. */
  readonly title: string;
  readonly controllers: readonly Type[];
  /** Provided to the controllers as `Pipeline`. */
  readonly pipeline: Recorder;
  /** The same, where the plane has the hot routes of hot-routes.ts. */
  readonly uses?: Uses;
  readonly credentials: KnownCredentials;
  /** Besides API keys; none where absent. */
  readonly tokens?: AcceptedTokens;
  /** Networks (CIDR) of the proxies whose `X-Forwarded-For` is believed; nobody's where absent. */
  readonly trustedProxies?: readonly string[];
  readonly health: ReadinessSource;
  readonly log: Log;
  readonly tls?: ServerOptions | undefined;
  readonly clock?: Clock;
  readonly limits?: RateLimits;
  /** Where the operator's quotas of calls are read; the standard ones hold where absent. */
  readonly rateQuotas?: RateQuotaReads;
  /** Nothing is told where absent. */
  readonly metrics?: MetricsSource | undefined;
}

/**
 * A plane, ready to listen: Nest on Fastify with the edge around it. Every request passes, in this order: who calls, how often,
 * the body, its schema, the controller, the pipeline, the answer's writer.
 * @throws Error when a route has neither an operation nor `@Public`
 */
export async function createPlane(parts: PlaneParts): Promise<NestFastifyApplication> {
  const { clock = systemClock, limits = new RateLimits(), pipeline } = parts;
  const log = new EdgeLog(parts.log);
  const authentication = new Authentication(parts.credentials, parts.tokens ?? {}, clock, log);
  const edge = new Edge(authentication, limits, clock, log, sourceAddressBehind(parts.trustedProxies ?? []));
  const filter = new ProblemFilter(pipeline, log, limits.tenants);
  const writer = new AnswerWriter(clock);
  const adapter = new PlaneAdapter(edge, writer, parts.tls);
  const fastify = adapter.getInstance();
  keepInventory(fastify);
  if (parts.uses !== undefined) serveHotRoutes(fastify, { pipeline: parts.uses, writer, limits, log });
  acceptBodies(fastify);
  if (parts.metrics !== undefined) serveMetrics(fastify, parts.metrics);
  edge.install(fastify);
  fastify.setErrorHandler((error, request, reply) => filter.answer(error, request, reply));
  fastify.setNotFoundHandler((_request, reply) => sendProblem(reply, new KeywardError('not-found')));

  let document: Buffer | undefined;
  const providers: Provider[] = [
    { provide: Pipeline, useValue: pipeline },
    { provide: READINESS, useValue: parts.health },
    { provide: OPENAPI_DOCUMENT, useValue: () => (document ??= Buffer.from(JSON.stringify(openApiOf(app, parts.title)))) },
  ];
  const app = await NestFactory.create<NestFastifyApplication>(moduleOf(parts.controllers, providers), adapter, {
    logger: false,
    abortOnError: false,
    bodyParser: false,
    forceCloseConnections: false,
  });
  app.useGlobalFilters(filter);
  app.useGlobalPipes(new SchemaPipe());
  if (parts.rateQuotas !== undefined) {
    limits.tenants.follow(parts.rateQuotas, (err) => parts.log.error({ err }, 'quotas of calls could not be read; the last ones hold'));
    fastify.addHook('preClose', async () => limits.tenants.close());
  }
  return app;
}

class PlaneModule {}

const moduleOf = (controllers: readonly Type[], providers: Provider[]): DynamicModule => ({
  module: PlaneModule,
  controllers: [PublicRoutes, ...controllers],
  providers,
});
