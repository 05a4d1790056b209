import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { noCredentials } from './known-credentials.js';
import { createPlane, type PlaneParts } from './plane.js';

/** A server without any operation, for processes that only tell their health: the same edge, and nobody is known to it. */
export function createHealthServer(
  parts: Pick<PlaneParts, 'title' | 'health' | 'log' | 'tls' | 'metrics'>,
): Promise<NestFastifyApplication> {
  return createPlane({
    ...parts,
    controllers: [],
    pipeline: { refuse: noCredentials.authenticate },
    credentials: noCredentials,
  });
}
