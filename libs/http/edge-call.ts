import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { PLATFORM, tenantId, type TenantId } from '#contract';
import { type Call, KeywardError, type Principal } from '#core';
import './request.js';

/** No tenant can have this id, so a malformed one in a path is refused just as an unknown one is, and recorded. */
const NO_SUCH_TENANT = '-' as TenantId;

/** What is known of a request before its caller is. */
export interface Arrival {
  /** The path's; undefined where it names none. */
  readonly tenant: TenantId | undefined;
  readonly sourceAddress: string | undefined;
}

/** The call of an authenticated request: on the operators' routes it is about `platform`. */
export function callOf(
  { id }: FastifyRequest,
  { tenant = PLATFORM, sourceAddress }: Arrival,
  principal: Principal,
  startedAt: number,
): Call {
  return { principal, tenant, sourceAddress, requestId: id, startedAt };
}

export function tenantOf(params: unknown): TenantId | undefined {
  if (typeof params !== 'object' || params === null || !('tenant' in params)) return undefined;
  const parsed = tenantId.safeParse(params.tenant);
  return parsed.success ? parsed.data : NO_SUCH_TENANT;
}

/** The parameter of a controller's method that carries the call. */
export const Calling = createParamDecorator((_: unknown, context: ExecutionContext): Call => {
  const { call } = context.switchToHttp().getRequest<FastifyRequest>();
  if (call === null) throw new KeywardError('internal', '', { reason: 'a route without a call' });
  return call;
});
