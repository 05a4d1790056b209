import type { OperationName, TenantId } from '#contract';
import type { Call } from './call.js';
import type { Decided } from './decide.js';
import type { KeywardError } from './errors.js';
import type { AnswerOf, InputOf } from './operation-shapes.js';
import type { Permit, PermitTerms } from './permit.js';
import type { LimitedGrant } from './ports/grants.js';
import type { Writes } from './ports/writes.js';
import type { Principal } from './principal.js';
import type { RecordDetails } from './record.js';
import type { Snapshot } from './snapshot.js';

/** What a handler works with, after the caller was found to have the right role, in the right tenant. */
export interface Step<Operation extends OperationName> {
  readonly operation: Operation;
  readonly call: Call;
  readonly principal: Principal;
  readonly input: InputOf<Operation>;
  readonly snapshot: Snapshot;
  readonly now: number;
  /** What was decided for other items of the same batch in this attempt. */
  readonly decisions?: Map<string, Promise<Decided>> | undefined;
  /** A permit for this operation: in the call's tenant (onboarding: the new one), on this key version and AAD. For after the decision only. */
  permit(terms?: Partial<Pick<PermitTerms, 'tenant' | 'versionId' | 'aad'>>): Permit<Operation>;
}

/** What a handler has done, or is about to do, before anything of it is recorded or released. */
export interface Prepared<Answer> {
  readonly answer: Answer;
  readonly details: RecordDetails;
  readonly validUntil?: number | undefined;
  /** Bytes that must not outlive the call unless they are answered. */
  readonly secret?: Uint8Array | undefined;
  /** Every grant that allows has a limit: the first with room pays, as the record is appended. None: nothing is counted. */
  readonly charges?: readonly LimitedGrant[] | undefined;
  /** What is only known once the record has its place in the log. What fails here is left out: the change is done. */
  readonly completed?: ((seq: bigint) => Promise<Answer>) | undefined;
  /** A tenant whose log tells it as well, in the same transaction: an operator's change that concerns it. */
  readonly tells?: TenantId | undefined;
  /** A change's writes: they share the record's transaction. */
  readonly apply?: ((writes: Writes) => Promise<void>) | undefined;
}

/** A refusal that knows more for the record than its error says. */
export interface Declined {
  readonly error: KeywardError;
  readonly details: RecordDetails;
  readonly validUntil?: number | undefined;
}

export type Handler<Operation extends OperationName> = (step: Step<Operation>) => Promise<Done<Operation>>;
export type Handlers<Names extends OperationName> = { readonly [Name in Names]: Handler<Name> };

/** How a handler ended. */
export type Done<Operation extends OperationName> = Prepared<AnswerOf<Operation>> | Declined;
