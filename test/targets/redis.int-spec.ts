import { redisIsMissing } from '../queue/redis-server.js';
import { RedisWorld } from './redis-world.js';
import { targetContract } from './target-contract.js';

if (redisIsMissing === undefined) targetContract('redis', { accounts: ['single'], gap: false, startsTls: false }, () => RedisWorld.start());
else it.skip(`redis: ${redisIsMissing}`, () => undefined);
