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
  { id, headers }: FastifyRequest,
  { tenant = PLATFORM, sourceAddress }: Arrival,
  principal: Principal,
  startedAt: number,
): Call {
  const { 'user-agent': userAgent, traceparent } = headers;
  return { principal, tenant, sourceAddress, userAgent, traceId: traceIdIn(traceparent), requestId: id, startedAt };
}

/** W3C Trace Context §3.2: the version, 32 hex digits that are not all zero, the parent, flags; of later versions what is known of this one. */
function traceIdIn(traceparent: string | string[] | undefined): string | undefined {
  if (typeof traceparent !== 'string') return undefined;
  return /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/.exec(traceparent)?.[1];
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
