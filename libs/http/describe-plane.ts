import type { Type } from '@nestjs/common';
import { noCredentials } from './known-credentials.js';
import { createPlane } from './plane.js';
import { openApiOf } from './openapi.js';

const never = () => Promise.reject(new Error('This plane is only described.'));

/** The committed OpenAPI text of a plane: made from its controllers alone, without starting anything. */
export async function describePlane(title: string, controllers: readonly Type[]): Promise<string> {
  const app = await createPlane({
    title,
    controllers,
    pipeline: { refuse: never },
    credentials: noCredentials,
    health: { readiness: never },
    log: { warn: () => undefined, error: () => undefined },
  });
  try {
    return `${JSON.stringify(openApiOf(app, title), null, 2)}\n`;
  } finally {
    await app.close();
  }
}
