import { CONNECTIONS, routeBench } from './route-bench.js';

/** Durable, granted, HSM-executed GenerateDataKey; the empty route receives the same request. */
export const generateDataKey = routeBench({
  ...{ name: 'generate-data-key', unit: 'req/s', path: 'data-keys', operation: 'GenerateDataKey' },
  ...{ connections: CONNECTIONS, items: 1 },
  bodies: ({ call }) => Promise.resolve({ ours: JSON.stringify(call), empty: JSON.stringify(call) }),
});
