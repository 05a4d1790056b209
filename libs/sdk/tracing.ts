import { toldBy } from './answers.js';
import { KeywardError } from './errors.js';
import type { WireAnswer } from './transport.js';

/** Values of OpenTelemetry's `SpanKind` and `SpanStatusCode`: its API need not be installed. */
const CLIENT = 2;
const ERROR = 2;

type Attributes = Record<string, string | number>;

/** Of a span, what the SDK touches. */
interface Span {
  setAttributes(attributes: Attributes): unknown;
  setStatus(status: { code: number }): unknown;
  end(): void;
  spanContext(): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number };
}

interface Tracer {
  startActiveSpan<Work extends (span: Span) => unknown>(
    name: string,
    options: { readonly kind: number; readonly attributes: Attributes },
    work: Work,
  ): ReturnType<Work>;
}

/** `trace` of `@opentelemetry/api` is one, and every tracer provider of its SDKs. */
export interface TracerProvider {
  getTracer(name: string, version?: string): Tracer;
}

/** What is told of a call: no label of a context, no plaintext, ciphertext, key or token. */
export interface TracedCall {
  readonly operation: string;
  readonly tenant: string;
  readonly items?: number | undefined;
}

/** Says `attempted` before each attempt, which carries the headers (W3C Trace Context). */
type Work = (attempted: () => void, headers: Readonly<Record<string, string>>) => Promise<WireAnswer>;

const NO_HEADERS = Object.freeze({});

/** A span for each call to one plane, whose trace the tenant's record keeps (`request.traceId`); without a provider, none. */
export class Tracing {
  readonly #tracer: Tracer | undefined;
  readonly #server: Attributes;

  constructor(provider: TracerProvider | undefined, url: string) {
    const { hostname, port, protocol } = new URL(url);
    this.#tracer = provider?.getTracer('@keyward/sdk');
    this.#server = { 'server.address': hostname, 'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
  }

  async span({ operation, tenant, items }: TracedCall, work: Work): Promise<WireAnswer> {
    if (this.#tracer === undefined) return await work(() => undefined, NO_HEADERS);
    const attributes = { ...this.#server, 'keyward.operation': operation, 'keyward.tenant': tenant };
    const options = { kind: CLIENT, attributes: items === undefined ? attributes : { ...attributes, 'keyward.batch.items': items } };
    return await this.#tracer.startActiveSpan(`keyward ${operation}`, options, async (span) => {
      let resent = -1;
      try {
        const answer = await work(() => resent++, carrying(span));
        span.setAttributes(attributesOf({ ...toldBy(answer), status: answer.status }));
        return answer;
      } catch (error) {
        span.setAttributes(
          error instanceof KeywardError ? { ...attributesOf(error), 'error.type': error.code } : { 'error.type': '_OTHER' },
        );
        span.setStatus({ code: ERROR });
        throw error;
      } finally {
        if (resent > 0) span.setAttributes({ 'http.request.resend_count': resent });
        span.end();
      }
    });
  }
}

interface Told {
  readonly status: number | undefined;
  readonly record?: number | undefined;
  readonly requestId?: string | undefined;
}

function attributesOf({ status, record, requestId }: Told): Attributes {
  const told = { 'http.response.status_code': status, 'keyward.record': record, 'keyward.request_id': requestId };
  return Object.fromEntries(Object.entries(told).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** https://www.w3.org/TR/trace-context/#traceparent-header; a span of a tracer that does nothing has no identity. */
function carrying(span: Span): Readonly<Record<string, string>> {
  const { traceId, spanId, traceFlags } = span.spanContext();
  if (/^0*$/.test(traceId)) return NO_HEADERS;
  return { traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}` };
}
