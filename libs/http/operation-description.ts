import { applyDecorators } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse } from '@nestjs/swagger';
import type { OperationName } from '#contract';
import { OPERATIONS, type OperationRow } from '#core';
import { ANSWERS } from './answers.js';
import { answerSchema } from './openapi-schemas.js';

/** Everything that the OpenAPI document says of an operation besides its path and what it takes. */
export function describeOperation(operation: OperationName, batch = false): MethodDecorator {
  const form = ANSWERS[operation];
  const { status, type } = form;
  const { summary, schema } = (batch ? form.batch : undefined) ?? form;
  const content =
    type === undefined
      ? {}
      : {
          content: {
            [mediaType(type)]: { schema: schema === undefined ? { type: 'string' as const, format: 'binary' } : answerSchema(schema) },
          },
        };
  return applyDecorators(
    ApiOperation({ operationId: batch ? `${operation}Batch` : operation, summary, tags: [OPERATIONS[operation].plane] }),
    ApiBearerAuth(),
    ApiResponse({ status, description: status === 204 ? 'Done.' : 'The answer.', headers: ANSWER_HEADERS, ...content }),
    // What a problem looks like is said once, in openapi.ts.
    ...problemStatuses(operation).map((problem) => ApiResponse({ status: problem, description: 'A problem.' })),
  );
}

const ANSWER_HEADERS = {
  'x-request-id': { description: 'Made by the server; the same as in the record.', schema: { type: 'string' as const } },
  'keyward-record': { description: "The record's place in its log.", schema: { type: 'string' as const } },
};

const mediaType = (type: string): string => type.split(';')[0]!;

/** Which statuses of core's table can come, by what the operation's row says. */
function problemStatuses(operation: OperationName): number[] {
  const row: OperationRow = OPERATIONS[operation];
  const people = row.plane === 'data' ? [] : [404];
  const states = row.plane === 'data' ? [409, 410] : row.effect === 'change' ? [409] : [];
  const conditional = operation === 'PutPolicy' ? [412, 428] : [];
  return [400, 401, 403, ...people, ...states, ...conditional, 413, 415, 429, 500, 503];
}
