import type { FastifyReply } from 'fastify';
import type { OperationName } from '#contract';
import { ANSWER_DEADLINE_MS, type AnswerOf, type Answered, type Clock, KeywardError, OPERATIONS } from '#core';
import { ANSWERS, type AnswerForm } from './answers.js';
import { whenAnswered } from './wiping.js';
import './request.js';

/** Writes what the pipeline answered, and has it wiped when it is gone. */
export class AnswerWriter {
  constructor(private readonly clock: Clock) {}

  /** @throws KeywardError `unavailable` past the deadline; nothing secret is left then */
  send(reply: FastifyReply, answered: Answered<OperationName>): FastifyReply {
    try {
      return this.#send(reply, answered);
    } catch (error) {
      answered.secret?.fill(0);
      throw error;
    }
  }

  #send(reply: FastifyReply, { answer, seq, secret }: Answered<OperationName>): FastifyReply {
    const { operation, call, raw } = reply.request;
    if (operation === null || call === null) throw new KeywardError('internal', '', { reason: 'an answer without an operation' });
    const form = formOf(operation);
    const body = form.body(answer);
    whenAnswered(reply.raw, raw.socket, () => {
      if (!Buffer.isBuffer(body)) body.destroy();
      else if (secret !== undefined) wipe(secret, body);
    });
    reply.code(form.status);
    if (seq !== undefined) reply.header('keyward-record', String(seq));
    if (form.version !== undefined) reply.header('etag', `"${form.version(answer)}"`);
    if (form.type !== undefined) reply.header('content-type', form.type);
    // The last moment at which it can still be kept back.
    if (isLate(operation, this.clock.now().getTime() - call.startedAt)) throw this.#keptBack(reply, body);
    return reply.send(body);
  }

  #keptBack(reply: FastifyReply, body: unknown): KeywardError {
    if (Buffer.isBuffer(body)) body.fill(0);
    reply.removeHeader('etag');
    return new KeywardError('unavailable', '', { reason: 'the answer came after its deadline' });
  }
}

/** A change is done and cannot be taken back, and what it answers (a code, a key) is shown only once: that is never kept back. */
const isLate = (operation: OperationName, ageMs: number): boolean =>
  OPERATIONS[operation].effect !== 'change' && ageMs > ANSWER_DEADLINE_MS;

/** What a controller returned, if it is the pipeline's answer and not a public route's. */
export const isAnswered = (result: unknown): result is Answered<OperationName> =>
  typeof result === 'object' && result !== null && 'answer' in result && 'seq' in result;

/** The row of this very operation: the pipeline answers what it was asked for, which the two types cannot say together. */
const formOf = (operation: OperationName): AnswerForm<AnswerOf<OperationName>> => ANSWERS[operation] as AnswerForm<AnswerOf<OperationName>>;

function wipe(secret: Uint8Array, body: Uint8Array): void {
  secret.fill(0);
  body.fill(0);
}
