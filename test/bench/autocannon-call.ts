import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { z } from 'zod';

/** One measurement by autocannon, as a process of its own: where wrk is not installed. Argument: a JSON file with the call. */
const callFile = z.object({
  url: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string().transform((base64) => Buffer.from(base64, 'base64')),
  connections: z.int(),
  seconds: z.number(),
});
const outcome = z.object({
  '2xx': z.int(),
  non2xx: z.int(),
  errors: z.int(),
  duration: z.number(),
  latency: z.object({ p50: z.number(), p99: z.number() }),
});

// It comes without types.
const autocannon: (options: object) => Promise<unknown> = createRequire(import.meta.url)('autocannon');
const { url, headers, body, connections, seconds } = callFile.parse(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')));
const result = outcome.parse(await autocannon({ url, method: 'POST', headers, body, connections, duration: seconds }));
const answers = result['2xx'] + result.non2xx;
const { p50, p99 } = result.latency;
const report = { answers, failures: result.non2xx + result.errors, seconds: result.duration, p50, p99 };
process.stdout.write(`${JSON.stringify(report)}\n`);
