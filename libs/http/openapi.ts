import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { FRAME_TYPE } from '#contract';
import { z } from 'zod';
import { isFramed } from './frame-body.js';
import { answerComponents, problemReference, requestSchema } from './openapi-schemas.js';
import { PROBLEM_TYPE } from './problem.js';

const SIGN_IN = [
  'API keys are taken everywhere.',
  "People may send a JWT of their tenant's identity provider, on routes of that tenant that are not for services.",
  'Services may sign one with the key that was registered for their credential: `iss` and `sub` are its id, `aud` is this installation, ' +
    '`exp` is at most ten minutes after `iat`.',
].join(' ');

type OperationObject = NonNullable<OpenAPIObject['paths'][string]['get']>;

/** The OpenAPI 3.1 document of a plane, from its routes and the contract's schemas alone: the same in every installation. */
export function openApiOf(app: INestApplication, title: string): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(title)
    .setVersion('1')
    .setDescription('Errors are application/problem+json. Send an API key, or a JWT, as `Authorization: Bearer …`.')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'kw_<tenant>_<id>_<secret>, or a JWT', description: SIGN_IN })
    .build();
  const document = SwaggerModule.createDocument(app, config, {
    standardSchemaConverter: (schema) => (schema instanceof z.ZodType ? requestSchema(schema) : undefined),
  });
  const paths = withPathParameters(document.paths);
  const schemas = sorted({ ...document.components?.schemas, ...reachable(paths, answerComponents()) });
  return { ...document, paths, components: { ...document.components, schemas, responses: { Problem: problemResponse } } };
}

const problemResponse = { description: 'A problem (RFC 9457).', content: { [PROBLEM_TYPE]: { schema: problemReference } } };

/** What a path names is a parameter of each of its operations, also where the pipeline alone looks at it. */
function withPathParameters(paths: OpenAPIObject['paths']): OpenAPIObject['paths'] {
  for (const [path, item] of Object.entries(paths)) {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
    for (const operation of [item.get, item.post, item.put, item.delete]) {
      if (operation === undefined) continue;
      const others = (operation.parameters ?? []).filter((parameter) => !('in' in parameter) || parameter.in !== 'path');
      operation.parameters = [
        ...names.map((name) => ({ name, in: 'path' as const, required: true, schema: { type: 'string' as const } })),
        ...others,
      ];
      operation.responses = responsesOf(operation);
      if (isFramed(operation.operationId?.replace(/Batch$/, ''))) alsoFramed(operation);
    }
  }
  return paths;
}

const FRAME = { schema: { type: 'string' as const, format: 'binary', description: 'A frame: docs/formats.md' } };

/** Bodies of both directions come as frames too; an answer has the media type of its request. */
function alsoFramed({ requestBody, responses }: OperationObject): void {
  for (const body of [requestBody, responses['200']])
    if (body !== undefined && 'content' in body) (body.content ??= {})[FRAME_TYPE] = FRAME;
}

/** What is wrong with a body cannot happen to a request without one; all problems look alike. */
function responsesOf({ responses, requestBody }: Pick<OperationObject, 'responses' | 'requestBody'>): OperationObject['responses'] {
  const possible = Object.entries(responses).filter(([status]) => requestBody !== undefined || (status !== '413' && status !== '415'));
  return Object.fromEntries(
    possible.map(([status, response]) => [status, Number(status) < 400 ? response : { $ref: '#/components/responses/Problem' }]),
  );
}

const sorted = <Value>(record: Record<string, Value>): Record<string, Value> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Of all answers' components those that this plane refers to, directly or through another. */
function reachable(paths: OpenAPIObject['paths'], components: ReturnType<typeof answerComponents>): ReturnType<typeof answerComponents> {
  const found = new Map<string, (typeof components)[string]>();
  const follow = (value: unknown): void => {
    for (const [, name] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      const component = components[name!];
      if (component === undefined || found.has(name!)) continue;
      found.set(name!, component);
      follow(component);
    }
  };
  follow(paths);
  follow(problemReference);
  return Object.fromEntries(found);
}
