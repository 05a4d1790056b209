import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { FRAME_TYPE, type OperationName } from '#contract';
import {
  ANSWER_DEADLINE_MS,
  type AnswerOf,
  type Answered,
  type AnsweredBatch,
  type Call,
  type Clock,
  KeywardError,
  OPERATIONS,
  type Wipeable,
} from '#core';
import { batchBody, framedBatch, framedBody } from './answer-body.js';
import { ANSWERS, type AnswerForm, JSON_TYPE } from './answers.js';
import { type FramedOperation, isFramed } from './frame-body.js';
import { waitSeconds } from './problem.js';
import { whenAnswered } from './wiping.js';
import './request.js';

type AnyBatch = AnsweredBatch<OperationName>;

/** Writes what the pipeline answered, and has it wiped when it is gone. */
export class AnswerWriter {
  constructor(private readonly clock: Clock) {}

  /** @throws KeywardError `unavailable` past the deadline; nothing secret is left then */
  send(reply: FastifyReply, answered: Answered<OperationName> | AnyBatch): FastifyReply {
    try {
      return 'items' in answered ? this.#sendBatch(reply, answered) : this.#sendOne(reply, answered);
    } catch (error) {
      answered.secret?.fill(0);
      throw error;
    }
  }

  /** For work that had to wait: keys must not be used for an answer that would be kept back. @throws KeywardError `unavailable` */
  mustBeInTime(operation: OperationName, { startedAt }: Pick<Call, 'startedAt'>): void {
    if (isLate(operation, this.clock.now().getTime() - startedAt)) throw tooLate();
  }

  #sendOne(reply: FastifyReply, { answer, seq, secret }: Answered<OperationName>): FastifyReply {
    const form = formOf(reply.request.operation);
    const framed = framedOperation(reply.request);
    const body = framed === undefined || form.members === undefined ? form.body(answer) : framedBody(framed, form.members(answer));
    reply.code(form.status);
    if (seq !== undefined) reply.header('keyward-record', String(seq));
    if (form.version !== undefined) reply.header('etag', `"${form.version(answer)}"`);
    const type = framed === undefined ? form.type : FRAME_TYPE;
    if (type !== undefined) reply.header('content-type', type);
    return this.#write(reply, body, secret);
  }

  /** The header names the first record; each item its own. */
  #sendBatch(reply: FastifyReply, { items, secret }: AnyBatch): FastifyReply {
    const { members } = formOf(reply.request.operation);
    if (members === undefined) throw new KeywardError('internal', '', { reason: 'a batch of an operation that takes none' });
    const framed = framedOperation(reply.request);
    const { id } = reply.request;
    const body = framed === undefined ? batchBody(items, members, id) : framedBatch(framed, items, members, id);
    const record = items.map((item) => ('answer' in item ? item.record : item.error.record)).find((seq) => seq !== undefined);
    reply.code(200).header('content-type', framed === undefined ? JSON_TYPE : FRAME_TYPE);
    if (record !== undefined) reply.header('keyward-record', String(record));
    const waits = items.map((item) => ('error' in item ? (waitSeconds(item.error) ?? 0) : 0));
    if (waits.some((wait) => wait > 0)) reply.header('retry-after', String(Math.max(...waits)));
    return this.#write(reply, body, secret);
  }

  #write(reply: FastifyReply, body: Buffer | Readable, secret: Wipeable | undefined): FastifyReply {
    const { operation, call, raw } = reply.request;
    if (operation === null || call === null) throw new KeywardError('internal', '', { reason: 'an answer without an operation' });
    whenAnswered(reply.raw, raw.socket, () => {
      if (!Buffer.isBuffer(body)) body.destroy();
      else if (secret !== undefined) wipe(secret, body);
    });
    // The last moment at which it can still be kept back.
    if (isLate(operation, this.clock.now().getTime() - call.startedAt)) throw this.#keptBack(reply, body);
    return reply.send(body);
  }

  #keptBack(reply: FastifyReply, body: unknown): KeywardError {
    if (Buffer.isBuffer(body)) body.fill(0);
    reply.removeHeader('etag');
    return tooLate();
  }
}

const tooLate = () => new KeywardError('unavailable', '', { reason: 'the answer came after its deadline' });

/** An answer has the media type of its request. */
const framedOperation = ({ operation, headers }: FastifyRequest): FramedOperation | undefined =>
  isFramed(operation) && headers['content-type'] === FRAME_TYPE ? operation : undefined;

/** A change is done and cannot be taken back, and what it answers (a code, a key) is shown only once: that is never kept back. */
const isLate = (operation: OperationName, ageMs: number): boolean =>
  OPERATIONS[operation].effect !== 'change' && ageMs > ANSWER_DEADLINE_MS;

/** What a controller returned, if it is the pipeline's answer and not a public route's. */
export const isAnswered = (result: unknown): result is Answered<OperationName> | AnyBatch =>
  typeof result === 'object' && result !== null && 'secret' in result && ('answer' in result || 'items' in result);

/** The row of this very operation: the pipeline answers what it was asked for, which the two types cannot say together. */
function formOf(operation: OperationName | null): AnswerForm<AnswerOf<OperationName>> {
  if (operation === null) throw new KeywardError('internal', '', { reason: 'an answer without an operation' });
  return ANSWERS[operation] as AnswerForm<AnswerOf<OperationName>>;
}

function wipe(secret: Wipeable, body: Uint8Array): void {
  secret.fill(0);
  body.fill(0);
}
