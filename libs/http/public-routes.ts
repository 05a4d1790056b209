import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Public } from './operation.js';

/** What is asked whether the plane can serve; `reasons` name parts of the platform, nothing else. */
export interface ReadinessSource {
  readiness(): Promise<{ readonly status: 'ready' } | { readonly status: 'not-ready'; readonly reasons: readonly string[] }>;
}

export const READINESS = Symbol('readiness');
/** The serialised OpenAPI document. */
export const OPENAPI_DOCUMENT = Symbol('openapi document');

/** The only routes that need no credential. */
@Controller()
export class PublicRoutes {
  constructor(
    @Inject(READINESS) private readonly health: ReadinessSource,
    @Inject(OPENAPI_DOCUMENT) private readonly document: () => Buffer,
  ) {}

  @Get('livez')
  @Public('orchestrators ask whether the process runs')
  live() {
    return { status: 'live' };
  }

  @Get('readyz')
  @Public('load balancers ask whether the plane can serve')
  async ready(@Res({ passthrough: true }) reply: FastifyReply) {
    const readiness = await this.health.readiness();
    if (readiness.status !== 'ready') reply.code(503);
    return readiness;
  }

  @Get('openapi.json')
  @Public('it is in the public repository')
  openApi(@Res() reply: FastifyReply) {
    void reply.header('content-type', 'application/json').send(this.document());
  }
}
