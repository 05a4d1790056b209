import type { OperationName } from '#contract';
import type { Call } from '#core';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the route is; null where it is public or unknown. */
    operation: OperationName | null;
    /** Set by the edge once the caller is known; null before that. */
    call: Call | null;
  }
  interface FastifyContextConfig {
    operation?: OperationName;
    /** Why nobody needs to be known here. */
    public?: string;
    /** Bytes; the server's default where absent. */
    bodyLimit?: number;
    /** The body carries many of the operation. */
    batch?: true;
  }
}
