import type { Evidence } from '../evidence.js';

/** 0: no answer; 401 to 412: a reason that the caller may be told; 429, 503: later. */
const EXPECTED = new Set([0, 200, 201, 204, 401, 403, 404, 409, 410, 412, 429, 503]);

/** Whatever goes wrong, a call has an answer that was meant, and a process goes on. */
export function noSurprise({ calls, ownEnds }: Evidence): string[] {
  const odd = calls.filter(({ status = 0 }) => !EXPECTED.has(status));
  return [
    ...odd.map(({ n, op, status = 0, got }) => `call ${n}: ${op} was answered ${status} ${JSON.stringify(got)}`),
    ...[...ownEnds].filter(([, times]) => times > 0).map(([name, times]) => `${name} ended by itself, ${times} times`),
  ];
}
