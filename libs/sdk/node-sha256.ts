import { hash } from 'node:crypto';
import type { Sha256 } from '#trail';

/** Node's own SHA-256, for the trail's verifier: several times as fast as the one that also runs in a browser. */
export const nodeSha256: Sha256 = (bytes) => hash('sha256', bytes, 'buffer');
