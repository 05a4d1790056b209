import type { Reader } from '#core';
import { openAuditorStore } from '../../libs/persistence/stores.js';
import type { TestDatabase } from '../../libs/persistence/test-database.js';
import type { BenchOptions, Result } from './result.js';
import { percentile, rounded } from './result.js';

const SIZE = 1_000_000;
const QUERIES = 400;
/** As many partitions as a log has that is kept for seven years. */
const MONTHS = 84;
const KEY = (n: number) => `key_${String(n).padStart(26, '0')}`;

/** Pages of a long log, as an auditor asks for them: from anywhere, of a time, of a key, of refusals, of one caller. */
export async function queryTimes(database: TestDatabase, { log }: BenchOptions): Promise<Result> {
  const reader = (await database.addTenants('long')).get('long')!;
  await database.as('superuser', (client) =>
    client.query(`
      SELECT keyward.ensure_months(${MONTHS});
      INSERT INTO keyward.trail_record (tenant_id, seq, bytes, leaf_hash, recorded_at, op, outcome, key_id, principal, request_id, calls)
        SELECT 'long', n, convert_to('{"seq":' || n || ',"pad":"' || repeat('x', 700) || '"}', 'UTF8'), sha256(n::text::bytea),
          timestamptz '2026-01-01' + n * interval '1 second', (ARRAY['Encrypt', 'Decrypt', 'GenerateDataKey', 'ListKeys'])[1 + n % 4],
          CASE WHEN n % 50 = 0 THEN 'refused' ELSE 'succeeded' END, 'key_' || lpad((n % 20)::text, 26, '0'), 'service-' || n % 10, 'req_' || n, 1
        FROM generate_series(0, ${SIZE - 1}) n;
      ANALYZE keyward.trail_record`),
  );
  log(`query: ${SIZE} records`);
  const auditor = await openAuditorStore(database.settings('keyward_auditor'));
  const times: number[] = [];
  try {
    for (let query = 0; query < QUERIES; query++) {
      const from = performance.now();
      await auditor.auditReads.records(reader satisfies Reader, filterOf(query));
      times.push(performance.now() - from);
    }
  } finally {
    await auditor.close();
  }
  return {
    name: 'trail-query',
    value: rounded(percentile(times, 0.95), 1),
    unit: 'ms (p95)',
    p50Ms: rounded(percentile(times, 0.5), 1),
    p99Ms: rounded(percentile(times, 0.99), 1),
    records: SIZE,
    queries: QUERIES,
  };
}

function filterOf(query: number) {
  const fromSeq = (query * 7919 * 31) % SIZE;
  const page = { fromSeq, limit: 100 };
  const time = (seq: number) => new Date(Date.parse('2026-01-01T00:00:00Z') + 1000 * seq).toISOString();
  const kinds = [
    page,
    { ...page, fromSeq: 0, from: time(fromSeq), to: time(fromSeq + 3600) },
    { ...page, keyId: KEY(query % 20) as never },
    { ...page, outcome: 'refused' as const },
    { ...page, principal: [`service-${query % 10}`] },
  ];
  return kinds[query % kinds.length]!;
}
