import { InvalidRequest, KeywardError } from '#core';

/** Fastify's own refusals, by their codes. What is not here is a defect of ours. */
const FASTIFY_ERRORS: Readonly<Record<string, () => KeywardError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new KeywardError('payload-too-large'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () => new KeywardError('unsupported-media-type', 'Send application/json.'),
  FST_ERR_CTP_EMPTY_JSON_BODY: () => badBody('must not be empty'),
  FST_ERR_CTP_INVALID_JSON_BODY: () => badBody('must be JSON'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () => badBody('must be as long as Content-Length says'),
  FST_ERR_BAD_URL: () => new InvalidRequest([{ field: 'path', message: 'is not a valid URL path' }]),
  FST_ERR_MAX_PARAM_LENGTH: () => new InvalidRequest([{ field: 'path', message: 'is too long' }]),
};

const badBody = (message: string) => new InvalidRequest([{ field: 'body', message }]);

/** Anything that was thrown, as an error that may be told. Messages of others never are: they repeat input, hosts or SQL. */
export function keywardError(error: unknown): KeywardError {
  if (error instanceof KeywardError) return error;
  if (!(error instanceof Error)) return internal(undefined);
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  const known = typeof code === 'string' ? FASTIFY_ERRORS[code] : undefined;
  if (known !== undefined) return known();
  // secure-json-parse: malformed JSON and forbidden names.
  if (error instanceof SyntaxError && statusCode === 400) return badBody('must be JSON without __proto__');
  return internal(error);
}

const internal = (cause: unknown) => new KeywardError('internal', '', { reason: 'defect', cause });
