import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { unauthenticated } from './authentication.js';
import { createPlane, type PlaneParts } from './plane.js';

/** A server without any operation, for processes that only tell their health: the same edge, and nobody is known to it. */
export function createHealthServer(parts: Pick<PlaneParts, 'title' | 'health' | 'log' | 'tls'>): Promise<NestFastifyApplication> {
  const nobody = () => Promise.reject(unauthenticated('no callers here'));
  return createPlane({
    ...parts,
    controllers: [],
    pipeline: { refuse: nobody },
    credentials: { cached: () => undefined, authenticate: nobody },
  });
}
