import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify';
import {
  asymmetricDecryptRequest,
  asymmetricEncryptRequest,
  type DataOperation,
  decryptBatchFrame,
  decryptBatchRequest,
  decryptFrame,
  decryptRequest,
  encryptBatchFrame,
  encryptBatchRequest,
  encryptFrame,
  encryptRequest,
  generateDataKeyBatchRequest,
  generateDataKeyRequest,
  generateDataKeyWithoutPlaintextRequest,
  generateMacRequest,
  generateRandomRequest,
  getPublicKeyRequest,
  getSecretValueRequest,
  getSecretValuesRequest,
  type OperationName,
  reEncryptBatchRequest,
  longOperationPath,
  rewrapPageRequest,
  type SecretUse,
  type ServiceOperation,
  signRequest,
  verifyMacRequest,
  verifyRequest,
} from '#contract';
import { type Answered, type AnsweredBatch, type Call, type InputOf, KeywardError, type Pipeline, reEncryptBatch, rewrapPage } from '#core';
import type { z } from 'zod';
import type { AnswerWriter } from './answer-writer.js';
import { itemsOf } from './batch-items.js';
import { keywardError } from './edge-errors.js';
import type { EdgeLog } from './edge-log.js';
import { type FramedOperation, framedBytes } from './frame-body.js';
import { batchWeight, type RateLimits } from './rate-limits.js';
import type { Turns } from './turns.js';
import { parsed } from './validation.js';
import './request.js';

/** Of the data plane's pipeline, what its routes call. */
export type Uses = Pick<Pipeline<DataOperation | SecretUse | ServiceOperation>, 'run' | 'runBatch'>;

export interface HotParts {
  readonly pipeline: Uses;
  readonly writer: AnswerWriter;
  readonly limits: RateLimits;
  readonly log: EdgeLog;
}

/** What is one call of the pipeline; re-encryption is two. */
type HotOperation = Exclude<DataOperation, 'ReEncryptFrom' | 'ReEncryptTo'> | 'GetSecretValue';
type Body<Name extends HotOperation> = z.ZodType<InputOf<Name>>;
type BatchBody<Name extends HotOperation> = z.ZodType<{ items: z.ZodSafeParseResult<InputOf<Name>>[] }>;
type Bodies<Name extends HotOperation> = readonly [one: Body<Name>, batch: BatchBody<Name> | undefined];

/** What the bodies of frames are after they were read; also taken from JSON, where they cannot occur. */
const FRAMES: { readonly [Name in FramedOperation]?: Bodies<Name> } = {
  Encrypt: [encryptFrame, encryptBatchFrame],
  Decrypt: [decryptFrame, decryptBatchFrame],
};

// biome-ignore format: an aligned table is read column by column
const BODIES: { readonly [Name in HotOperation]: Bodies<Name> } = {
  Encrypt:                         [encryptRequest,         encryptBatchRequest],
  Decrypt:                         [decryptRequest,         decryptBatchRequest],
  GenerateDataKey:                 [generateDataKeyRequest, generateDataKeyBatchRequest],
  GenerateDataKeyWithoutPlaintext: [generateDataKeyWithoutPlaintextRequest, undefined],
  GenerateMac:                     [generateMacRequest,     undefined],
  VerifyMac:                       [verifyMacRequest,       undefined],
  Sign:                            [signRequest,            undefined],
  Verify:                          [verifyRequest,          undefined],
  GetPublicKey:                    [getPublicKeyRequest,    undefined],
  GenerateRandom:                  [generateRandomRequest,  undefined],
  AsymmetricEncrypt:               [asymmetricEncryptRequest, undefined],
  AsymmetricDecrypt:               [asymmetricDecryptRequest, undefined],
  GetSecretValue:                  [getSecretValueRequest,  getSecretValuesRequest],
};

const isHot = (operation: OperationName | undefined): operation is HotOperation => operation !== undefined && operation in BODIES;

/**
 * The data plane's routes, declared as Nest controllers like all others, are served by a handler of their own behind the same hooks:
 * Nest's layer around a handler costs as much as the decision. Edge, schema, pipeline, writer and filter are those of every route.
 */
export function serveHotRoutes(instance: FastifyInstance, { pipeline, writer, limits, log }: HotParts): void {
  instance.addHook('onRoute', (route) => {
    const { operation, batch = false } = route.config ?? {};
    if (isHot(operation)) route.handler = batch ? batchHandlerOf(operation) : handlerOf(operation);
    else if (operation === 'ReEncryptTo' && batch) route.handler = reEncryptBatchHandler();
    else if (operation === 'SettleRewrapPage') route.handler = rewrapPageHandler();
  });

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- it ties the body's schema to the operation
  function handlerOf<Operation extends HotOperation>(operation: Operation): RouteHandlerMethod {
    const { json, frame } = bodiesOf(operation);
    return answering((call, body) =>
      wiping(body, async (isFrame) => {
        const [one] = isFrame ? frame : json;
        const input = parsed(one, body, 'body');
        return await inTurn(limits.calls, operation, call, () => pipeline.run(operation, call, input));
      }),
    );
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- it ties the body's schema to the operation
  function batchHandlerOf<Operation extends HotOperation>(operation: Operation): RouteHandlerMethod {
    const { json, frame } = bodiesOf(operation);
    return answering((call, body, requestId) =>
      wiping(body, async (isFrame) => {
        const [, batch] = isFrame ? frame : json;
        if (batch === undefined) throw new KeywardError('internal', '', { reason: 'a batch of an operation that takes none' });
        const items = itemsOf(parsed(batch, body, 'body'));
        const answered = await batchInTurn(operation, call, items.length, () => pipeline.runBatch(operation, call, items));
        return withRefusals(answered, call, 1, requestId);
      }),
    );
  }

  function reEncryptBatchHandler(): RouteHandlerMethod {
    return answering(async (call, body, requestId) => {
      const items = itemsOf(parsed(reEncryptBatchRequest, body, 'body'));
      // Two operations each.
      const answered = await batchInTurn('ReEncryptTo', call, 2 * items.length, () => reEncryptBatch(pipeline, call, items));
      return withRefusals(answered, call, 2, requestId);
    });
  }

  function rewrapPageHandler(): RouteHandlerMethod {
    return answering(async (call, body, _requestId, params) => {
      const { operation } = parsed(longOperationPath, params, 'path');
      const page = parsed(rewrapPageRequest, body, 'body');
      return await batchInTurn('SettleRewrapPage', call, 2 * page.items.length + 1, () => rewrapPage(pipeline, call, operation, page));
    });
  }

  /** Items that failed are logged, and count as calls that did. */
  function withRefusals<Operation extends HotOperation | 'ReEncryptTo'>(
    answered: AnsweredBatch<Operation>,
    call: Call,
    calls: number,
    requestId: string,
  ): AnsweredBatch<Operation> {
    for (const item of answered.items)
      if ('error' in item) {
        log.failed(item.error, requestId);
        limits.tenants.spare('use', call, item.error, calls);
      }
    return answered;
  }

  /** Every item counts as a call. */
  async function batchInTurn<Answer>(
    operation: DataOperation | SecretUse | ServiceOperation,
    call: Call,
    calls: number,
    work: () => Promise<Answer>,
  ): Promise<Answer> {
    const { wait: retryAfterSeconds } = await limits.spend('use', call.principal.credentialId, calls - 1);
    if (retryAfterSeconds !== undefined) throw new KeywardError('too-many-requests', '', { retryAfterSeconds });
    limits.tenants.count('use', call, calls - 1);
    try {
      return await inTurn(limits.batches, operation, call, work, batchWeight(calls));
    } catch (error) {
      limits.tenants.spare('use', call, keywardError(error), calls - 1);
      throw error;
    }
  }

  /** What one tenant asks for waits for each other, so that all tenants' calls go on. */
  async function inTurn<Answer>(
    line: Turns,
    operation: DataOperation | SecretUse | ServiceOperation,
    call: Call,
    work: () => Promise<Answer>,
    weight?: number,
  ): Promise<Answer> {
    const end = await line.take(call.tenant, weight);
    try {
      writer.mustBeInTime(operation, call);
      return await work();
    } finally {
      end();
    }
  }

  function answering(
    work: (
      call: Call,
      body: unknown,
      requestId: string,
      params: unknown,
    ) => Promise<Answered<DataOperation | SecretUse | ServiceOperation> | AnsweredBatch<DataOperation | SecretUse>>,
  ): RouteHandlerMethod {
    return async ({ call, body, id, params }: FastifyRequest, reply: FastifyReply) => {
      if (call === null) throw new KeywardError('internal', '', { reason: 'a route without a call' });
      return writer.send(reply, await work(call, body, id, params));
    };
  }
}

function bodiesOf<Operation extends HotOperation>(
  operation: Operation,
): { readonly json: Bodies<Operation>; readonly frame: Bodies<Operation> } {
  const json: Bodies<Operation> = BODIES[operation];
  return { json, frame: (FRAMES as Partial<Record<HotOperation, Bodies<Operation>>>)[operation] ?? json };
}

/** The bytes of a frame, which JSON has none of, do not outlive the call. */
async function wiping<Answer>(body: unknown, work: (isFrame: boolean) => Promise<Answer>): Promise<Answer> {
  const bytes = framedBytes(body);
  try {
    return await work(bytes.length > 0);
  } finally {
    for (const one of bytes) one.fill(0);
  }
}
