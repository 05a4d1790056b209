import { inspect } from 'node:util';
import {
  DecryptFailed,
  errorOf,
  InvalidCall,
  KeyDestroyed,
  KeyDisabled,
  KeywardError,
  Refused,
  Stopped,
  Unauthenticated,
} from './errors.js';

/** What JSON can say, or bytes. */
export type Sealable = string | number | boolean | null | Uint8Array | readonly Sealable[] | { readonly [name: string]: Sealable };

/**
 * Why a value cannot be read now. `unavailable`: Keyward is away, try again · `refused`: no grant · `stopped`, `disabled`: the tenant can take
 * it back · `destroyed`: gone for good · `corrupt`: changed, cut, or of another row, field or tenant · `unopened`: nobody has tried yet.
 */
export type SealedReason = 'unavailable' | 'refused' | 'stopped' | 'disabled' | 'destroyed' | 'corrupt' | 'unopened';

/** Reads stored bytes. */
export type Opener<T> = (stored: Uint8Array) => Promise<T>;

type State<T> =
  | { readonly is: 'new'; readonly value: T }
  | { readonly is: 'open'; readonly value: T; readonly stored: Uint8Array }
  | { readonly is: 'closed'; readonly stored: Uint8Array; readonly error: KeywardError };

/**
 * A value that is stored encrypted: in this process it is *new* (not stored yet), *open*, or *closed*, which means that it cannot be read now
 * and `reason` says why. A closed one is not lost and not null: it goes back to where it came from byte by byte.
 *
 * Neither JSON, `inspect` (and so `console.log`), templates nor comparisons show the value; only `value` and `open` do. `===` compares the
 * objects: the same value sealed twice has different bytes, so compare `a.value === b.value`. Values that were opened are frozen: a change
 * inside one would never be saved, so assign a new `Sealed`.
 */
export class Sealed<T> {
  #state: State<T>;
  #opener: Opener<T> | undefined;
  #opening: Promise<void> | undefined;

  private constructor(state: State<T>, opener?: Opener<T>) {
    this.#state = state;
    this.#opener = opener;
  }

  /** A new value, that is encrypted when it is stored. */
  static of<T extends Sealable>(value: T): Sealed<T> {
    return new Sealed<T>({ is: 'new', value });
  }

  /** What was stored: closed until it is opened. The bytes are copied. */
  static stored<T>(stored: Uint8Array, opener?: Opener<T>): Sealed<T> {
    return new Sealed({ is: 'closed', stored: Uint8Array.from(stored), error: new Unopened('The value was not opened.') }, opener);
  }

  get isOpen(): boolean {
    return this.#state.is !== 'closed';
  }

  /** Undefined when it is open. */
  get reason(): SealedReason | undefined {
    return this.#state.is === 'closed' ? reasonOf(this.#state.error) : undefined;
  }

  /** @throws the `KeywardError` that closed it; `reason` tells the same */
  get value(): T {
    if (this.#state.is === 'closed') throw this.#state.error;
    return this.#state.value;
  }

  /** A copy of the bytes as they are stored; undefined as long as it is new. */
  get stored(): Uint8Array | undefined {
    return this.#state.is === 'new' ? undefined : Uint8Array.from(this.#state.stored);
  }

  /** The value; asks Keyward when it is closed, also when it was asked before. @throws KeywardError */
  async open(): Promise<T> {
    await this.tryOpen();
    return this.value;
  }

  /** The same without throwing: afterwards `isOpen`, or `reason`, tell what came of it. */
  async tryOpen(): Promise<this> {
    await (this.#opening ??= this.#open().finally(() => (this.#opening = undefined)));
    return this;
  }

  /** Encrypts a new value. Afterwards it is open, and stored as these bytes. */
  async seal(encrypt: (value: T) => Promise<Uint8Array>): Promise<void> {
    const { value } = this;
    this.#state = { is: 'open', value, stored: Uint8Array.from(await encrypt(value)) };
  }

  /** How to open it from now on. */
  openedBy(opener: Opener<T>): this {
    this.#opener = opener;
    return this;
  }

  /** For whoever serialises: a mark, never the value. What takes it for a value is refused when it is stored. */
  toJSON(): string {
    return this.toString();
  }

  toString(): string {
    return this.reason === undefined || this.reason === 'unopened' ? '[sealed]' : `[sealed: ${this.reason}]`;
  }

  [Symbol.toPrimitive](): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }

  /** Called by the PostgreSQL driver. @throws InvalidCall for a new value: nothing has encrypted it */
  toPostgres(): Uint8Array {
    if (this.#state.is === 'new') throw new InvalidCall('This sealed value was not encrypted: it must not be stored.', INVALID);
    return this.#state.stored;
  }

  async #open(): Promise<void> {
    if (this.#state.is !== 'closed' || this.#opener === undefined) return;
    const { stored } = this.#state;
    try {
      this.#state = { is: 'open', value: frozen(await this.#opener(Uint8Array.from(stored))), stored };
    } catch (error) {
      this.#state = { is: 'closed', stored, error: asKeywardError(error) };
    }
  }
}

const INVALID = { code: 'invalid-request' } as const;
/** Nobody has tried to open it, or nobody could. */
export class Unopened extends InvalidCall {
  constructor(message: string) {
    super(message, INVALID);
  }
}

// biome-ignore format: an aligned table is read column by column
const REASONS: readonly (readonly [new (...given: never[]) => KeywardError, SealedReason])[] = [
  [Unopened,        'unopened'],
  [Stopped,         'stopped'],
  [Refused,         'refused'],
  [Unauthenticated, 'refused'],
  [KeyDisabled,     'disabled'],
  [KeyDestroyed,    'destroyed'],
  [DecryptFailed,   'corrupt'],
  [InvalidCall,     'corrupt'],
];

/** Anything else may pass: `unavailable`. */
export const reasonOf = (error: KeywardError): SealedReason => REASONS.find(([type]) => error instanceof type)?.[1] ?? 'unavailable';

const asKeywardError = (cause: unknown): KeywardError =>
  cause instanceof KeywardError ? cause : errorOf('The value could not be opened.', { code: 'unavailable', retryable: true, cause });

/** Bytes cannot be frozen; they are the caller's own. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}
