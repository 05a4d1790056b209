import { rotateDueSecret, type SecretRotationParts } from '#core';
import type { JobKind } from './jobs/job-kind.js';

const EVERY_MS = 1000;

/** Gives secrets their next value when their rotation policy says so, or an admin, and takes up what a worker that died has left. */
export const rotateSecrets = (parts: SecretRotationParts): JobKind => ({
  ...{ name: 'rotate-secret', everyMs: EVERY_MS },
  due: () => parts.rotations.due(),
  run: async (of) => {
    for (const due of await parts.rotations.due(of)) await rotateDueSecret(parts, due);
  },
});
