import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { InvalidRequest, KeywardError } from '#core';

/** The version that a conditional request replaces (RFC 9110 §13.1): `If-Match: "7"` → 7, `If-None-Match: *`, or `"0"`, → 0 for none yet. */
export function replacedVersion(headers: {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
}): number {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers;
  if (match === undefined && noneMatch === undefined) throw new KeywardError('precondition-required');
  if (match === undefined && noneMatch?.trim() === '*') return 0;
  const version = /^"(0|[1-9]\d{0,8})"$/.exec(match?.trim() ?? '')?.[1];
  if (version === undefined || noneMatch !== undefined)
    throw new InvalidRequest([{ field: 'if-match', message: 'must be If-Match: "<version>", or If-None-Match: * for the first' }]);
  return Number(version);
}

export const Replaces = createParamDecorator((_: unknown, context: ExecutionContext): number =>
  replacedVersion(context.switchToHttp().getRequest<FastifyRequest>().headers),
);

/** Documents what `@Replaces` reads. */
export const Conditional = (): MethodDecorator & ClassDecorator =>
  ApiHeader({ name: 'If-Match', required: false, description: '"<version>" that this replaces; If-None-Match: * for the first' });
