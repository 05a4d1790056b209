import type { RecordBody, SecretId, TenantId } from '#contract';
import type { RotationProgress, StepDone, StepFailed, TargetStep } from '../secret-rotation.js';
import type { Due } from './jobs.js';
import type { Epochs } from './rules.js';
import type { LabelChange } from './secrets.js';

/** A rotation that this worker has for itself until its lease is over. */
export interface ClaimedRotation extends RotationProgress {
  readonly tenant: TenantId;
  readonly secretId: SecretId;
  /** Of the value that it makes; undefined: it has not begun. */
  readonly versionId: string | undefined;
  /** What was current when it began. */
  readonly fromVersion: string | undefined;
  /** Counted up by every claim and every step: whoever read an older one changes nothing. */
  readonly revision: number;
  /** By the database's clock. */
  readonly at: Date;
}

/** What a step changes, all of it in one transaction. */
export interface RotationMove {
  readonly claimed: ClaimedRotation;
  readonly to: RotationProgress & Pick<ClaimedRotation, 'versionId' | 'fromVersion'>;
  /** Until the next step. */
  readonly waitMs: number;
  readonly labels?: LabelChange | undefined;
  /** Decided under these; `body` is appended with it. */
  readonly recorded?: { readonly epochs: Epochs; readonly body: RecordBody } | undefined;
}

/** The worker's: where each rotation stands. */
export interface SecretRotations {
  /** By the database's clock: this one, or at most 500 of all and 4 of each tenant. Not those whose key a stop, or a suspension, lets nobody use. */
  due(of?: Due): Promise<readonly Due[]>;
  /** Undefined: it is not due, or another worker has it. */
  claim(of: Due, leaseMs: number): Promise<ClaimedRotation | undefined>;
  /** For whoever cannot go on: another may try. */
  release(claimed: ClaimedRotation): Promise<void>;
  /**
   * False: somebody else went on with it, or a rule came in between: it is looked at again.
   * @throws TrailUnavailable
   */
  advance(move: RotationMove): Promise<boolean>;
}

/** One step at a target, as the targets' process takes it. Values as their secrets hold them. */
export interface TargetTurn {
  /** Of target. */
  readonly kind: string;
  readonly step: TargetStep;
  readonly rotation: { readonly tenant: string; readonly secretId: string; readonly versionId: string };
  readonly options: Readonly<Record<string, unknown>>;
  readonly connection?: Uint8Array | undefined;
  readonly current: Uint8Array;
  readonly previous?: Uint8Array | undefined;
  readonly next?: Uint8Array | undefined;
  readonly old?: Uint8Array | undefined;
}

/** Answers what the target did, or why not. Never rejects for a target's sake. `value`: of `create`, the caller's to wipe. */
export type RunTurn = (turn: TargetTurn) => Promise<(StepDone & { readonly value?: Uint8Array | undefined }) | StepFailed>;
