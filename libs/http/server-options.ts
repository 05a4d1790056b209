import type { Socket } from 'node:net';

/** Where no operation says otherwise: the largest direct plaintext with the largest context, in base64 and JSON, fits four times. */
export const BODY_LIMIT_BYTES = 64 * 1024;

/** Fastify's settings for every plane; each of them is the answer to a way of holding or confusing a server. */
export const SERVER_OPTIONS = {
  // Slow senders: headers within 5 s, the whole request within 15 s.
  http: { headersTimeout: 5000, requireHostHeader: true },
  requestTimeout: 15_000,
  connectionTimeout: 30_000,
  keepAliveTimeout: 72_000,
  maxRequestsPerSocket: 0,
  bodyLimit: BODY_LIMIT_BYTES,
  // A client must not choose its own address (source-address.ts), or its request's id.
  trustProxy: false,
  requestIdHeader: false,
  // HEAD would be a second way into every GET.
  exposeHeadRoutes: false,
  // Fastify's own 503 is no problem document: the edge tells it.
  return503OnClosing: false,
  logger: false,
  routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, ignoreDuplicateSlashes: false, maxParamLength: 128 },
  clientErrorHandler: refuseConnection,
  rewriteUrl,
} as const;

/** What is not HTTP gets no more than that; it may hold a secret, so nothing of it is repeated or logged. */
function refuseConnection(_error: Error, socket: Socket): void {
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  else socket.destroy();
}

/** Targets that are no path (`*`, `*v1/tenants`) would be routed as if they began with a slash, or past every hook: nothing is there. */
function rewriteUrl({ url = '/' }: { readonly url?: string | undefined }): string {
  return url.startsWith('/') || /^https?:/i.test(url) ? url : '/';
}
