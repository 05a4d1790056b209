import type { TenantId } from '#contract';
import type { Principal } from './principal.js';

/** An answer that is later than this after its request began is not given: the caller has long asked again. */
export const ANSWER_DEADLINE_MS = 5000;

/** One request of one authenticated caller, as the edge hands it over. */
export interface Call {
  readonly principal: Principal;
  /** Whose keys or rules: from the path; `platform` for the operators' routes. */
  readonly tenant: TenantId;
  /** By the connection or a trusted proxy; undefined when a proxy told nonsense. */
  readonly sourceAddress: string | undefined;
  /** As the caller calls itself. */
  readonly userAgent?: string | undefined;
  /** 32 hex digits, as the caller told it (W3C Trace Context). */
  readonly traceId?: string | undefined;
  /** Made by the server. */
  readonly requestId: string;
  /** Milliseconds of the server's clock. */
  readonly startedAt: number;
  /** The input was not valid: nothing but the refusal will be recorded. */
  readonly refusedAtEdge?: boolean;
}
