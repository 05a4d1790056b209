/** As records tell times: text that compares as the times do, and of which none is too strange to be read. */
const textOf = (time: string): string => `to_char((${time}) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
/** What the record `r` says; one that does not: the longest that there is. */
const HELD_UNTIL = `coalesce(r.lease_until, ${textOf("r.recorded_at + interval '300 seconds'")})`;

/** Records `r` by which an SDK may keep what was answered, whether or not the lease is over; a dry run answered nothing. */
export const LEASING = `r.op = ANY (ARRAY['GenerateDataKey', 'Decrypt']) AND r.outcome = 'succeeded' AND r.calls > 0`;
/** Until when, as `held.until`. */
export const HELD = `LATERAL (SELECT ${HELD_UNTIL} AS until) held`;
export const heldBeyond = (time: string): string => `held.until > ${textOf(time)}`;
