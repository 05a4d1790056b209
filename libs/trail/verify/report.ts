import type { Cosignature } from '../cosignature.js';
import type { NoteProblem } from '../signed-note.js';

/** Why a bundle does not stand. A table for whoever prints it; each is raised by one step. */
export type VerificationFailure =
  // read
  | 'malformed-bundle'
  | 'wrong-tile-width'
  | 'missing-tile'
  // check the signature
  | NoteProblem
  | 'malformed-checkpoint'
  | 'malformed-vkey'
  | 'bad-key-link'
  | 'foreign-origin'
  | 'older-checkpoint'
  | 'too-few-witnesses'
  // compare what was recomputed with what was signed
  | 'missing-records'
  | 'extra-records'
  | 'record-changed'
  | 'root-mismatch'
  | 'stored-hash-changed'
  | 'inconsistent-checkpoint'
  | DisclosureFault['code']
  // check each record: the log itself was signed over something that may not be
  | RecordFaultCode;

export type RecordFaultCode = 'malformed-record' | 'record-out-of-place' | 'foreign-record' | 'time-went-back';

/** The first record that is wrong in itself. */
export interface RecordFault {
  readonly code: RecordFaultCode;
  readonly index: number;
  /** What it says itself, if it can be read. */
  readonly seq?: number;
  readonly message: string;
}

/** What is shown beside the records, and is not what one of them vouches for. */
export interface DisclosureFault {
  readonly code: 'foreign-disclosure' | 'malformed-disclosure';
  /** Of the record that carries it, or of the first that could. */
  readonly index: number;
  readonly message: string;
}

/** Records `from` to `to - 1`. */
export interface RecordRange {
  readonly from: number;
  readonly to: number;
}

export interface VerifiedReport {
  readonly status: 'verified';
  readonly origin: string;
  readonly size: number;
  /** Base64, as in the checkpoint. */
  readonly root: string;
  /** RFC 3339; absent in an empty log. */
  readonly firstAt?: string;
  readonly lastAt?: string;
  /** Personal fields that were shown, each vouched for by a record; absent where none was. */
  readonly disclosed?: number;
  /** Records of which only the hashes were there and verified: they were pruned, as a record of the log says. Absent where all were seen. */
  readonly unseen?: readonly RecordRange[];
  /** Where the last of these ends. */
  readonly prunedBefore?: number;
  /** false: the key came from the bundle itself, so the ISV could have signed anything with it. */
  readonly pinned: boolean;
  /** The key that signed it, where the pinned one no longer does but vouches for it: to be pinned from now on. */
  readonly followedTo?: string;
  /** Present where witnesses were asked for. */
  readonly witnessed?: Witnessed;
}

/** The first `size` records are those that these witnesses saw. */
export interface Witnessed {
  readonly size: number;
  readonly by: readonly Cosignature[];
}

export interface FailedReport {
  readonly status: 'failed';
  readonly code: VerificationFailure;
  /** Place of the first bad record, from 0. Absent when it cannot be named. */
  readonly index?: number;
  readonly seq?: number;
  /** The two signed checkpoints between which the first bad record lies: the first `from` records are as they were signed, the first `to` are not. */
  readonly between?: Between;
  /** One English sentence or two. */
  readonly message: string;
}

/** Sizes of two checkpoints; 0 where there is no smaller one. */
export interface Between {
  readonly from: number;
  readonly to: number;
}

export type VerificationReport = VerifiedReport | FailedReport;

/** Ends a verification; never leaves `verifyBundle`. */
export class VerificationFailed extends Error {
  readonly report: FailedReport;
  constructor(code: VerificationFailure, message: string, place: Pick<FailedReport, 'index' | 'seq' | 'between'> = {}) {
    super(message);
    this.name = 'VerificationFailed';
    this.report = { status: 'failed', code, ...place, message };
  }
}
