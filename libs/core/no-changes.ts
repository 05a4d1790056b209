import { KeywardError } from './errors.js';
import type { Changes } from './ports/trail.js';

/** For a plane whose role may change nothing but the trail, and none of whose operations does. */
export const noChanges: Changes = {
  commit: () => Promise.reject(new KeywardError('internal', '', { reason: 'this plane changes nothing' })),
};
