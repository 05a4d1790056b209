import type pg from 'pg';

/**
 * Where a change took effect in acme's log: with a record of acme's; with a record of the platform's log, whose place between acme's
 * the database's clock tells; or at an instant.
 */
export type Place = { readonly seq: number } | { readonly platformSeq: number } | { readonly after: Date };

/** Of each place, in the order of the changes: the first record that must obey the change. */
export async function firstBehind(database: pg.Client, places: readonly Place[]): Promise<number[]> {
  const instants = await instantsOf(database, places);
  const behind = await firstAfter(database, [...instants.values()]);
  const firsts = places.map((place) => ('seq' in place ? place.seq : behind.shift()!));
  // A rule that was made after its own end opened nothing: what closes is then not before what opens.
  for (let index = 1; index < firsts.length; index++) firsts[index] = Math.max(firsts[index]!, firsts[index - 1]!);
  return firsts;
}

/** By index: the last instant before each place that is told by time, as PostgreSQL writes it. */
async function instantsOf(database: pg.Client, places: readonly Place[]): Promise<Map<number, string>> {
  const platformSeqs = places.flatMap((place) => ('platformSeq' in place ? [place.platformSeq] : []));
  const { rows } = await database.query<{ seq: string; at: string }>(
    "SELECT seq, recorded_at::text AS at FROM keyward.trail_record WHERE tenant_id = 'platform' AND seq = ANY ($1)",
    [platformSeqs],
  );
  const recordedAt = new Map(rows.map(({ seq, at }) => [Number(seq), at]));
  return new Map(
    places.flatMap((place, index): [number, string][] => {
      if ('after' in place) return [[index, place.after.toISOString()]];
      return 'platformSeq' in place ? [[index, recordedAt.get(place.platformSeq)!]] : [];
    }),
  );
}

async function firstAfter(database: pg.Client, instants: readonly string[]): Promise<number[]> {
  if (instants.length === 0) return [];
  const { rows } = await database.query<{ bucket: number; first: string }>(
    `SELECT width_bucket(recorded_at, behind) AS bucket, min(seq) AS first
       FROM keyward.trail_record, (SELECT array_agg(i + interval '1 microsecond' ORDER BY n) AS behind FROM unnest($1::timestamptz[]) WITH ORDINALITY u (i, n)) b
      WHERE tenant_id = 'acme' AND recorded_at >= behind[1] GROUP BY 1`,
    [instants],
  );
  const first = new Map(rows.map(({ bucket, first: seq }) => [bucket, Number(seq)]));
  const firsts: number[] = [];
  let next = await sizeOf(database);
  for (let bucket = instants.length; bucket >= 1; bucket--) firsts.unshift((next = first.get(bucket) ?? next));
  return firsts;
}

async function sizeOf(database: pg.Client): Promise<number> {
  const { rows } = await database.query<{ size: string }>("SELECT size FROM keyward.tenant_head WHERE tenant_id = 'acme'");
  return Number(rows[0]?.size);
}

/** How many records of `op` there are behind each of these places and before the next, by outcome. */
export async function countBehind(
  database: pg.Client,
  op: string,
  firsts: readonly number[],
): Promise<{ readonly phase: number; readonly outcome: string; readonly count: number }[]> {
  const { rows } = await database.query<{ phase: number; outcome: string; count: number }>(
    `SELECT width_bucket(seq, $2::bigint[]) - 1 AS phase, outcome, count(*)::integer AS count FROM keyward.trail_record
      WHERE tenant_id = 'acme' AND op = $1 AND seq >= $3 GROUP BY 1, 2`,
    [op, firsts, firsts[0]],
  );
  return rows;
}
