import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { type Clock, systemClock } from '#core';
import { type Egress, EgressError } from '#http';
import { eventOf } from './events.js';
import { type Batch, DeliveryFailed, type Destination, type Sender } from './sender.js';
import { syslogMessage, syslogTest } from './syslog-message.js';

/** At most two megabytes, whatever is in them. */
const MAX_RECORDS = 200;
const TIME_LIMIT_MS = 30_000;

/**
 * RFC 5424 over TLS (RFC 5425), one connection a batch. Syslog acknowledges nothing; but TLS is closed in order: a batch counts as taken
 * once the receiver has answered the end that we sent behind the last message, so whatever was lost on the way is sent again.
 */
export class Syslog implements Sender<'syslog'> {
  readonly restMs = 0;

  constructor(
    private readonly egress: Pick<Egress, 'connect'>,
    private readonly host: string,
    private readonly clock: Clock = systemClock,
  ) {}

  async deliver(to: Destination<'syslog'>, { from, read }: Batch): Promise<number> {
    const { sink, target } = to;
    const records = await read(from, MAX_RECORDS);
    const messages = records.map((record) => {
      const leafHash = Buffer.from(record.leafHash).toString('hex');
      const place = { host: this.host, log: sink.log.logId, seq: record.seq, leafHash };
      return syslogMessage(place, Buffer.from(record.bytes).toString('utf8'), eventOf(target.format, sink.tenant, record));
    });
    await this.#send(to, messages.join(''));
    return from + records.length;
  }

  async test(to: Destination<'syslog'>): Promise<void> {
    await this.#send(to, syslogTest(this.host, this.clock.now()));
  }

  async #send({ target, plain }: Destination<'syslog'>, messages: string): Promise<void> {
    const limit = AbortSignal.timeout(TIME_LIMIT_MS);
    const clientKey = plain && Buffer.from(plain).toString('utf8');
    const socket = await this.egress.connect({ ...target, clientKey }, limit);
    try {
      await taken(socket, messages);
    } catch (error) {
      throw new EgressError(limit.aborted ? 'time-limit' : 'connection', error);
    } finally {
      socket.destroy();
    }
  }
}

async function taken(socket: TLSSocket, messages: string): Promise<void> {
  // What a receiver says is nothing to us, but unread it would hide its end.
  socket.resume();
  const ended = once(socket, 'end');
  const closed = once(socket, 'close').then(() => {
    if (!socket.readableEnded) throw new DeliveryFailed('the receiver closed the connection before it had everything');
  });
  socket.end(messages);
  await Promise.race([ended, closed]);
  if (!socket.writableFinished) throw new DeliveryFailed('the receiver closed the connection before it had everything');
}
