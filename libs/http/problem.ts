import type { FastifyReply } from 'fastify';
import type { Problem } from '#contract';
import { type KeywardError, PROBLEMS } from '#core';

export const PROBLEM_TYPE = 'application/problem+json';
const RETRY_AFTER_SECONDS = 1;

/** The wire form (RFC 9457). Its `reason` is what the caller may be told (`why`); the error's own stays inside: it is the record's. */
export function problemOf(error: KeywardError, requestId: string): Problem {
  const { code, message, fields, why } = error;
  const { status, title, retryable } = PROBLEMS[code];
  const detail = code === 'internal' || message === '' ? {} : { detail: message };
  return {
    type: `urn:keyward:problem:${code}`,
    title,
    status,
    ...detail,
    code,
    requestId,
    retryable,
    ...(why !== undefined && { reason: why }),
    ...(fields.length > 0 && { errors: [...fields] }),
  };
}

/** When a caller who has to wait may come back; undefined for an error that waiting does not mend. */
export const waitSeconds = ({ code, retryAfterSeconds = RETRY_AFTER_SECONDS }: KeywardError): number | undefined =>
  PROBLEMS[code].retryable ? retryAfterSeconds : undefined;

/** Writes a problem; `wait` says when a caller who has to wait may come back. */
export function sendProblem(reply: FastifyReply, error: KeywardError, wait: number | undefined = waitSeconds(error)): FastifyReply {
  const { status } = PROBLEMS[error.code];
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  if (wait !== undefined) reply.header('retry-after', String(wait));
  if (error.record !== undefined) reply.header('keyward-record', String(error.record));
  const body = Buffer.from(JSON.stringify(problemOf(error, reply.request.id)));
  // As bytes: a serializer would append a charset, which this media type does not have.
  return reply.code(status).header('content-type', PROBLEM_TYPE).send(body);
}
