/** One HTTP call as a stranger's program would make it: no SDK, so that a fault of the SDK cannot hide one of the platform. */
export interface Answer {
  readonly status: number;
  readonly requestId: string | null;
  /** The record's place in its log, when the answer names one. */
  readonly seq: number | undefined;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export async function api(
  base: string,
  apiKey: string | undefined,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(new URL(path, base), {
    method,
    headers: {
      ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(15_000),
  });
  const text = await response.text();
  const record = response.headers.get('keyward-record');
  return {
    status: response.status,
    requestId: response.headers.get('x-request-id'),
    seq: record === null ? undefined : Number(record),
    headers: response.headers,
    // A tile may begin with any byte.
    body: /json/.test(response.headers.get('content-type') ?? '') ? (JSON.parse(text) as Record<string, unknown>) : { text },
  };
}

/** The same, for steps that must work: throws with what came back. */
export async function must(...call: Parameters<typeof api>): Promise<Answer> {
  const [, , method, path] = call;
  const answer = await api(...call);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer;
}
