import type { SinkTarget } from '#contract';
import type { ClaimedSink, DeliveredRecord } from '#core';
import { EgressError } from '#http/egress';

/** A sink whose target is of this type, and what the platform proves itself by there. */
export interface Destination<Type extends SinkTarget['type']> {
  readonly sink: ClaimedSink;
  readonly target: Extract<SinkTarget, { type: Type }>;
  readonly plain: Uint8Array | undefined;
}

export interface Batch {
  readonly from: number;
  /** Signed records from there on, in order and without a gap, at least one. @throws DeliveryFailed where one is missing */
  readonly read: (from: number, most: number) => Promise<DeliveredRecord[]>;
}

/** One kind of receiver. One step takes at most 40 seconds, whatever the receiver does: its lease lasts 45 (persistence/delivery-store.ts). */
export interface Sender<Type extends SinkTarget['type']> {
  /** Answers the first record that the receiver has not taken. @throws DeliveryFailed, EgressError */
  deliver(to: Destination<Type>, batch: Batch): Promise<number>;
  /** A message that is no record. @throws DeliveryFailed, EgressError */
  test(to: Destination<Type>): Promise<void>;
  /** Milliseconds between two deliveries that worked, once nothing waits. */
  readonly restMs: number;
}

export type Senders = { readonly [Type in SinkTarget['type']]: Sender<Type> };

/** The receiver did not take it; the message is shown to the tenant's admins, and holds nothing that a receiver wrote. */
export class DeliveryFailed extends Error {
  override readonly name = 'DeliveryFailed';

  constructor(
    message: string,
    /** The receiver said that it will never take anything again. */
    readonly forGood = false,
  ) {
    super(message);
  }
}

const REASONS: Readonly<Partial<Record<EgressError['reason'], string>>> = {
  url: 'the URL must be https, without a name or password',
  port: 'this port is not allowed',
  address: 'the address is not a public one',
  name: 'the name leads to no address',
  connection: 'no connection',
  'time-limit': 'no answer in time',
  'too-large': 'the answer is too large',
};

/** What an admin is told of a failed attempt; undefined for what is no fault of the receiver's. */
export function failureOf(error: unknown): string | undefined {
  if (error instanceof DeliveryFailed) return error.message;
  if (!(error instanceof EgressError)) return undefined;
  const code = codeOf(error.cause);
  return `${REASONS[error.reason] ?? error.reason}${code === undefined ? '' : ` (${code})`}`;
}

/** Of an error of Node or OpenSSL: a name of theirs. */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' && /^[A-Z][A-Z0-9_]{2,60}$/.test(error.code) ? error.code : undefined;
}
