import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OperationName, ProblemCode } from '#contract';
import { type Call, KeywardError, OPERATIONS } from '#core';
import { keywardError } from './edge-errors.js';
import type { EdgeLog } from './edge-log.js';
import { sendProblem } from './problem.js';
import { isCounted, type TenantRates } from './tenant-rates.js';
import './request.js';

/** Of the pipeline, all that the edge itself calls. */
export interface Recorder {
  refuse(operation: OperationName, call: Call, error: KeywardError): Promise<never>;
}

/** What the edge refuses before the pipeline has seen the call. */
const REFUSED_AT_EDGE: ReadonlySet<ProblemCode> = new Set([
  'invalid-request',
  'payload-too-large',
  'unsupported-media-type',
  'precondition-required',
]);

/** The one filter: whatever was thrown, wherever, leaves as a problem; an authenticated caller's invalid input is recorded first. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly recorder: Recorder,
    private readonly log: EdgeLog,
    private readonly rates: TenantRates,
  ) {}

  async catch(thrown: unknown, host: ArgumentsHost): Promise<void> {
    const http = host.switchToHttp();
    await this.answer(thrown, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** Also Fastify's own error handler: bodies fail before Nest is reached. */
  async answer(thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const error = await this.#recorded(keywardError(thrown), request);
    this.log.failed(error, request.id);
    const { call, operation } = request;
    if (call !== null && operation !== null && isCounted(operation, call)) this.rates.spare(OPERATIONS[operation].rateClass, call, error);
    return reply.sent ? reply : sendProblem(reply, error);
  }

  async #recorded(error: KeywardError, { call, operation }: FastifyRequest): Promise<KeywardError> {
    if (call === null || operation === null || error.record !== undefined || !REFUSED_AT_EDGE.has(error.code)) return error;
    // What it throws is the answer: the same error with its record, or a refusal that comes first.
    return await this.recorder.refuse(operation, call, error).catch(keywardError);
  }
}
