import { z } from 'zod';
import { trailRecord } from '#contract';

const FACILITY = 13; // log audit
const SEVERITIES = { succeeded: 6, refused: 4, failed: 3 } as const;
/** Keyward has no enterprise number of its own: this is the one for examples (RFC 5612). */
const STRUCTURE = 'keyward@32473';

/** What the header tells of a record, of any schema. */
const { op, outcome, recordedAt } = trailRecord.shape;
const told = z.object({ op, outcome: outcome.catch('failed'), recordedAt }).partial();

export interface SyslogPlace {
  readonly host: string;
  readonly log: string;
  readonly seq: number;
  /** Hexadecimal. */
  readonly leafHash: string;
}

/**
 * One record as an RFC 5424 message behind its length in octets (RFC 6587 §3.4.1, RFC 5425 §4.3). `text` is the record as JSON, `event` what
 * is sent of it. The message is ASCII, with escapes of JSON where the event is not: it needs no byte order mark, and no receiver reads it in
 * another character set.
 */
export function syslogMessage({ host, log, seq, leafHash }: SyslogPlace, text: string, event: string): string {
  const { op: name = '-', outcome: how = 'failed', recordedAt: at = '-' } = told.catch({}).parse(JSON.parse(text));
  const place = Object.entries({ log, seq: String(seq), leaf: leafHash }).map(([param, value]) => ` ${param}="${escaped(value)}"`);
  const header = `<${FACILITY * 8 + SEVERITIES[how]}>1 ${at} ${host} keyward - ${name}`;
  return framed(`${header} [${STRUCTURE}${place.join('')}] ${ascii(event)}`);
}

/** A message that is no record. */
export const syslogTest = (host: string, at: Date): string =>
  framed(`<${FACILITY * 8 + 6}>1 ${at.toISOString()} ${host} keyward - test - this is a test`);

/** PARAM-VALUE (RFC 5424 §6.3.3). */
export const escaped = (value: string): string => value.replaceAll(/["\\\]]/g, (character) => `\\${character}`);

/** The same JSON, in ASCII. */
export const ascii = (json: string): string =>
  json.replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const framed = (message: string): string => `${message.length} ${message}`;
