import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ServerResponse } from 'node:http';
import type { ServerOptions } from 'node:https';
import { type AnswerWriter, isAnswered } from './answer-writer.js';
import type { Edge } from './edge.js';
import { SERVER_OPTIONS } from './server-options.js';

/** Nest's adapter without what a plane does not have: middleware (its path matching is not the router's) and Nest's own error pages. */
export class PlaneAdapter extends FastifyAdapter {
  constructor(
    edge: Edge,
    private readonly answers: AnswerWriter,
    tls: ServerOptions | undefined,
  ) {
    super({
      ...SERVER_OPTIONS,
      ...(tls !== undefined && { https: { ...tls, ...SERVER_OPTIONS.http } }),
      skipMiddie: true,
      genReqId: () => edge.newRequestId(),
      frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => void edge.refuseUnrouted(error, request, reply),
    });
  }

  /** Controllers return what the pipeline answered; it is written by the table of answers. */
  override reply(reply: FastifyReply | ServerResponse, result: unknown, status?: number) {
    return isAnswered(result) && !(reply instanceof ServerResponse) ? this.answers.send(reply, result) : super.reply(reply, result, status);
  }

  /** The plane's own is set before; Nest's would replace it. */
  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return this.getInstance();
  }

  override setNotFoundHandler(): ReturnType<FastifyAdapter['setNotFoundHandler']> {
    return this.getInstance();
  }
}
