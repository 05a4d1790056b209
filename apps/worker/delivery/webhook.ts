import { createPrivateKey, sign } from 'node:crypto';
import type { RecordFormat } from '#contract';
import { type Clock, type DeliveredRecord, systemClock } from '#core';
import type { Egress } from '#http';
import { eventOf, FRAMES } from './events.js';
import { type Batch, DeliveryFailed, type Destination, type Sender } from './sender.js';

/** Standard Webhooks: "keep payloads below 20kb"; an event has at most 19.5 kB. */
const MAX_BODY_BYTES = 20_000;
const MAX_RECORDS = 100;
/** Standard Webhooks: 15 to 30 s. */
const TIME_LIMIT_MS = 20_000;
/** PKCS #8 around a seed (RFC 8410). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

interface Message {
  readonly id: string;
  readonly type: string;
  readonly body: string;
}

/**
 * Standard Webhooks (standardwebhooks.com) with asymmetric signatures, `v1a`. The id of a message names the records in it: who gets one
 * again can tell, by the id or by `seq`.
 */
export class Webhooks implements Sender<'webhook'> {
  readonly restMs = 0;

  constructor(
    private readonly egress: Pick<Egress, 'exchange'>,
    private readonly clock: Clock = systemClock,
  ) {}

  async deliver(to: Destination<'webhook'>, { from, read }: Batch): Promise<number> {
    const { sink, target } = to;
    const events = fitting(await read(from, MAX_RECORDS), target.format, (record) => eventOf(target.format, sink.tenant, record));
    const next = from + events.length;
    const { type, open, between, close } = FRAMES[target.format];
    await this.#post(to, { id: `${sink.log.logId}_${from}_${next - 1}`, type, body: `${open}${events.join(between)}${close}` });
    return next;
  }

  async test(to: Destination<'webhook'>): Promise<void> {
    const timestamp = this.clock.now().toISOString();
    const body = JSON.stringify({ type: 'keyward.test', timestamp, data: { sinkId: to.sink.sinkId } });
    await this.#post(to, { id: `test_${to.sink.sinkId}_${Date.parse(timestamp)}`, type: 'application/json', body });
  }

  async #post({ target, plain }: Destination<'webhook'>, { id, type, body }: Message): Promise<void> {
    if (plain === undefined) throw new Error('A webhook without its key.');
    const timestamp = String(Math.floor(this.clock.now().getTime() / 1000));
    const { status } = await this.egress.exchange(target.url, {
      method: 'POST',
      headers: {
        'content-type': type,
        'user-agent': 'Keyward',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1a,${signed(plain, `${id}.${timestamp}.${body}`)}`,
      },
      body: Buffer.from(body),
      certificateAuthority: target.certificateAuthority,
      timeLimitMs: TIME_LIMIT_MS,
    });
    // A redirect is a failure too: only the URL that the admin gave was meant.
    if (status < 200 || status > 299) throw new DeliveryFailed(`status ${status}`, status === 410);
  }
}

/** As many as one message holds, the first in any case; the rest waits for the next. @throws DeliveryFailed for the first */
function fitting(records: readonly DeliveredRecord[], format: RecordFormat, event: (record: DeliveredRecord) => string): string[] {
  const { open, between, close } = FRAMES[format];
  const events: string[] = [];
  let bytes = open.length + close.length;
  for (const record of records) {
    const next = events.length === 0 ? event(record) : orNothing(() => event(record));
    if (next === undefined) break;
    bytes += Buffer.byteLength(next) + between.length;
    if (events.length > 0 && bytes > MAX_BODY_BYTES) break;
    events.push(next);
  }
  return events;
}

/** What cannot be sent must not hold up what stands before it. */
function orNothing(event: () => string): string | undefined {
  try {
    return event();
  } catch (error) {
    if (error instanceof DeliveryFailed) return undefined;
    throw error;
  }
}

function signed(seed: Uint8Array, content: string): string {
  const der = Buffer.concat([ED25519_PKCS8, seed]);
  try {
    return sign(null, Buffer.from(content), createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).toString('base64');
  } finally {
    der.fill(0);
  }
}
