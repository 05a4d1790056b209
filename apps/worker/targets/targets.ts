import { apiKeys } from './api-key.js';
import { mariadb } from './mariadb.js';
import { postgresql } from './postgresql.js';
import { redis } from './redis.js';
import { schedule } from './schedule.js';
import { ssh } from './ssh.js';
import { type AnyTarget, anyTarget } from './turn.js';
import { webhook } from './webhook.js';

/** Every kind of target, one row each. */
export const TARGETS: readonly AnyTarget[] = [
  anyTarget(schedule),
  anyTarget(webhook),
  anyTarget(apiKeys),
  anyTarget(postgresql),
  anyTarget(mariadb),
  anyTarget(redis),
  anyTarget(ssh),
];
