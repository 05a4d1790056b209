import type { TenantId } from '#contract';
import type { Principal } from './principal.js';

/** One request of one authenticated caller, as the edge hands it over. */
export interface Call {
  readonly principal: Principal;
  /** Whose keys or rules: from the path; `platform` for the operators' routes. */
  readonly tenant: TenantId;
  /** Made by the server. */
  readonly requestId: string;
  /** Milliseconds of the server's clock. */
  readonly startedAt: number;
  /** The input was not valid: nothing but the refusal will be recorded. */
  readonly refusedAtEdge?: boolean;
}
