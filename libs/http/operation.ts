import { applyDecorators } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiExcludeEndpoint } from '@nestjs/swagger';
import type { OperationName } from '#contract';
import { describeOperation } from './operation-description.js';
import './request.js';

export interface OperationOptions {
  /** Largest body in bytes, where the server's default is too small. */
  readonly bodyLimit?: number;
  /** Many of the operation in one request. */
  readonly batch?: true;
}

/**
 * Says which operation a route is. The edge authenticates, limits, records and answers by this name alone,
 * and the OpenAPI document is derived from it. A route has this or `@Public`, or the plane refuses to start.
 */
export function Operation(operation: OperationName, options: OperationOptions = {}): MethodDecorator {
  return applyDecorators(RouteConfig({ operation, ...options }), describeOperation(operation, options.batch));
}

/** A route that anyone may call. `why` is for the reader; a test pins the list of such routes. */
export function Public(why: string): MethodDecorator {
  return applyDecorators(RouteConfig({ public: why }), ApiExcludeEndpoint());
}
