import type { FastifyInstance, RouteHandlerMethod } from 'fastify';
import { type DataOperation, decryptRequest, encryptRequest, generateDataKeyRequest, type OperationName } from '#contract';
import { type InputOf, KeywardError, type Pipeline } from '#core';
import type { z } from 'zod';
import type { AnswerWriter } from './answer-writer.js';
import { parsed } from './validation.js';
import './request.js';

const BODIES: { readonly [Name in DataOperation]: z.ZodType<InputOf<Name>> } = {
  Encrypt: encryptRequest,
  Decrypt: decryptRequest,
  GenerateDataKey: generateDataKeyRequest,
  GenerateDataKeyWithoutPlaintext: generateDataKeyRequest,
};

const isHot = (operation: OperationName | undefined): operation is DataOperation => operation !== undefined && operation in BODIES;

/**
 * The data plane's routes, declared as Nest controllers like all others, are served by a handler of their own behind the same hooks:
 * Nest's layer around a handler costs as much as the decision. Edge, schema, pipeline, writer and filter are those of every route.
 */
export function serveHotRoutes(instance: FastifyInstance, pipeline: Pick<Pipeline<DataOperation>, 'run'>, writer: AnswerWriter): void {
  instance.addHook('onRoute', (route) => {
    const operation = route.config?.operation;
    if (isHot(operation)) route.handler = handlerOf(operation);
  });

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- it ties the body's schema to the operation
  function handlerOf<Operation extends DataOperation>(operation: Operation): RouteHandlerMethod {
    return async ({ call, body }, reply) => {
      if (call === null) throw new KeywardError('internal', '', { reason: 'a route without a call' });
      return writer.send(reply, await pipeline.run(operation, call, parsed(BODIES[operation], body, 'body')));
    };
  }
}
