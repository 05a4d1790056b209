import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { PLATFORM, tenantId, type TenantId } from '#contract';
import { type Call, KeywardError, type Principal } from '#core';
import './request.js';

/** No tenant can have this id, so a malformed one in a path is refused just as an unknown one is, and recorded. */
const NO_SUCH_TENANT = '-' as TenantId;

/** The call of an authenticated request; `tenant` is the path's, or `platform` on the operators' routes. */
export function callOf(request: FastifyRequest, principal: Principal, startedAt: number): Call {
  return { principal, tenant: tenantOf(request.params), requestId: request.id, startedAt };
}

function tenantOf(params: unknown): TenantId {
  if (typeof params !== 'object' || params === null || !('tenant' in params)) return PLATFORM;
  const parsed = tenantId.safeParse(params.tenant);
  return parsed.success ? parsed.data : NO_SUCH_TENANT;
}

/** The parameter of a controller's method that carries the call. */
export const Calling = createParamDecorator((_: unknown, context: ExecutionContext): Call => {
  const { call } = context.switchToHttp().getRequest<FastifyRequest>();
  if (call === null) throw new KeywardError('internal', '', { reason: 'a route without a call' });
  return call;
});
