import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { z } from 'zod';
import type { EgressAnswer, EgressConnection, EgressDial, EgressRequest } from '#http/egress';

/**
 * The one way out of the targets' process. A host is resolved once; what is connected to is the address that was checked: public, or an
 * origin that the operator lists. Whatever is opened ends with the turn.
 * @throws EgressError, which a turn answers as `unavailable`, or `refused` where the address is not allowed
 */
export interface Reach {
  /** TCP, for protocols that protect themselves; in clear text only to what the operator lists. */
  dial(to: EgressDial): Promise<Socket>;
  /** TLS, the certificate checked against the host's name. */
  connect(to: EgressConnection): Promise<TLSSocket>;
  /** HTTP, any answer; no redirect is followed. */
  exchange(url: string, request: Omit<EgressRequest, 'timeLimitMs'>): Promise<EgressAnswer>;
}

/** Names one rotation: the same after every crash, so that a target can tell a repetition. */
export interface RotationId {
  readonly tenant: string;
  readonly secretId: string;
  /** Of the value that is about to be made current. */
  readonly versionId: string;
}

interface Parts<Connection, Options> {
  readonly reach: Reach;
  readonly rotation: RotationId;
  readonly connection: Connection;
  readonly options: Options;
}

export interface CreateParts<Connection, Value, Options> extends Parts<Connection, Options> {
  readonly current: Value;
  /** What ACSPrevious holds. */
  readonly previous: Value | undefined;
}

export interface TurnParts<Connection, Value, Options> extends CreateParts<Connection, Value, Options> {
  readonly next: Value;
}

export interface RetireParts<Connection, Value, Options> extends Parts<Connection, Options> {
  /** What is current now. */
  readonly current: Value;
  readonly old: Value;
}

/**
 * What a rotation does at one kind of target. Every step but `create` may be repeated with the same values, after any crash, also when the
 * repetition before it is still under way there. A value is JSON where it is an object, else the text itself.
 */
export interface RotationTarget<Connection, Value, Options> {
  /** As the rotation policy names it. */
  readonly kind: string;
  /** Ports that are reached without the operator's list, where the address is public. */
  readonly ports: readonly number[];
  /** The JSON of the connection secret: who may change logins there, and where that is. */
  readonly connection: z.ZodType<Connection>;
  /** The rotating secret's value. */
  readonly value: z.ZodType<Value>;
  /** The rotation policy's `options`. */
  readonly options: z.ZodType<Options>;
  /** The next value, stored before anything else happens. Where somebody else makes it, the same again for the same rotation. */
  create(parts: CreateParts<Connection, Value, Options>): Promise<Value> | Value;
  /** The target accepts `next`. */
  apply(parts: TurnParts<Connection, Value, Options>): Promise<void>;
  /** Logs in with `next`. */
  test(parts: TurnParts<Connection, Value, Options>): Promise<void>;
  /** Undoes `apply`, which may not have begun: the target accepts `current` (and `previous`, where it did), and `next` no more. */
  revert(parts: TurnParts<Connection, Value, Options>): Promise<void>;
  /** After the overlap: the target accepts `old` no more. Nothing to do where `apply` has ended it. */
  retire(parts: RetireParts<Connection, Value, Options>): Promise<void>;
}

/**
 * Why a turn failed. No word of the target's goes into it, nor of a value: `detail` is a fixed text of ours.
 *
 * `refused`: wrong credentials or rights, an address that is not allowed: trying again soon helps nobody.
 * `unavailable`: not reached, no answer in time, too busy: tried again with growing pauses.
 * `invalid`: the connection's, the value's or the options' shape is wrong.
 */
export class TargetError extends Error {
  override readonly name = 'TargetError';

  constructor(
    readonly reason: 'refused' | 'unavailable' | 'invalid',
    readonly detail: string,
    cause?: unknown,
  ) {
    super(`${reason}: ${detail}`, { cause });
  }
}
