import type { Trail } from '#core';
import { Metrics } from './metrics.js';
import { countedRecords } from './plane-metrics.js';

describe('metrics', () => {
  it('are written as Prometheus reads them', async () => {
    const metrics = new Metrics();
    const calls = metrics.counter('calls_total', 'Calls.');
    calls.add({ operation: 'Encrypt', status: '200' }, 2);
    calls.add({ operation: 'Encrypt', status: '200' });
    calls.add({ operation: 'a"b\\c\nd' });
    const seconds = metrics.histogram('seconds', 'Time.', [0.1, 1]);
    for (const value of [0.05, 0.1, 0.5, 7]) seconds.observe({ operation: 'Encrypt' }, value);
    metrics.read('gauge', 'lag', 'Lag.', async () => 3);
    metrics.read('gauge', 'away', 'Away.', () => {
      throw new Error('the database is away');
    });
    expect(await metrics.text()).toBe(
      `# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{operation="Encrypt",status="200"} 3
calls_total{operation="a\\"b\\\\c\\nd"} 1
# HELP seconds Time.
# TYPE seconds histogram
seconds_bucket{operation="Encrypt",le="0.1"} 2
seconds_bucket{operation="Encrypt",le="1"} 3
seconds_bucket{operation="Encrypt",le="+Inf"} 4
seconds_sum{operation="Encrypt"} 7.65
seconds_count{operation="Encrypt"} 4
# HELP lag Lag.
# TYPE lag gauge
lag 3
# HELP away Away.
# TYPE away gauge
`,
    );
  });

  it('count a call whose record did not get into the trail as withheld, once', async () => {
    const metrics = new Metrics();
    const answers = [{ verdict: 'durable', seq: 1n }, { verdict: 'stale' }] as const;
    const trail: Trail = {
      append: async () => {
        throw new Error('away');
      },
      appendAll: async () => [...answers],
    };
    const entry = { body: { op: 'Encrypt', outcome: 'succeeded', count: 3 } } as unknown as Parameters<Trail['append']>[0];
    const counted = countedRecords(metrics).trail(trail);
    await expect(counted.append(entry)).rejects.toThrow('away');
    expect(await counted.appendAll([entry, entry])).toEqual(answers);
    const text = await metrics.text();
    expect(text).toContain('{operation="Encrypt",outcome="withheld"} 6\n');
    expect(text).toContain('{operation="Encrypt",outcome="succeeded"} 3\n');
  });
});
