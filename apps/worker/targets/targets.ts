import { generic } from './generic.js';
import { mariadb } from './mariadb.js';
import { postgresql } from './postgresql.js';
import { redis } from './redis.js';
import { ssh } from './ssh.js';
import { type AnyTarget, anyTarget } from './turn.js';
import { webhook } from './webhook.js';

/** Every kind of target, one row each. */
export const TARGETS: readonly AnyTarget[] = [
  anyTarget(generic),
  anyTarget(webhook),
  anyTarget(postgresql),
  anyTarget(mariadb),
  anyTarget(redis),
  anyTarget(ssh),
];
