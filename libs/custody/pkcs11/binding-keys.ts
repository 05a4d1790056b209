import { CustodyUnavailable } from '#core';
import type { KeyHandle } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import { findOrCreate } from './find-or-create.js';
import { anyBindingKey, bindingKey, bindingKeyNumber, namedBindingKey } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { refuseWeak, STAYS_INSIDE } from './refuse-weak.js';

/** No MAC is made under a key that was not the newest so long ago: another custodian may have made the next one. */
const KNOWN_FOR_MS = 10_000;

interface Numbered {
  readonly number: number;
  readonly handle: KeyHandle;
}

/** The binding keys on this token: one, and while it is rotated two. Rows do not say by which they are bound. */
export class BindingKeys {
  /** The newest first. */
  #known: readonly Numbered[];
  #lookedAt = performance.now();

  constructor(private readonly token: OpenToken) {
    if (token.find(anyBindingKey).length === 0) this.#make(0);
    this.#known = this.#lookedUp();
  }

  /** Under the newest, 32 bytes. */
  mac(message: Buffer): Buffer {
    if (performance.now() - this.#lookedAt > KNOWN_FOR_MS) this.#known = this.#lookedUp();
    return this.#macBy(this.#known[0]!, message);
  }

  /** Whether one of them made this MAC; `isSame` compares in constant time. */
  fits(message: Buffer, isSame: (expected: Buffer) => boolean): boolean {
    if (this.#known.some((key, age) => this.#fitsBy(key, age, message, isSame))) return true;
    // By a key that another custodian made since: nothing but a row that somebody edited comes here for nothing.
    const before = this.#known;
    this.#known = this.#lookedUp();
    const isNew = ({ number }: Numbered) => before.every((known) => known.number !== number);
    return this.#known.some((key, age) => isNew(key) && this.#fitsBy(key, age, message, isSame));
  }

  /** Found or made, so that a rotation may be repeated. @throws RangeError unless it is the newest or the next one */
  ensure(number: number): void {
    const newest = this.#lookedUp()[0]!.number;
    if (number !== newest && number !== newest + 1) throw new RangeError('Not the next binding key.');
    if (number > newest) this.#make(number);
    this.#known = this.#lookedUp();
  }

  /** Number of the newest, looked up now. */
  newest(): number {
    this.#known = this.#lookedUp();
    return this.#known[0]!.number;
  }

  /** All but the newest, for good. */
  destroyOlder(): void {
    const [newest, ...older] = this.#lookedUp();
    this.#known = [newest!];
    for (const { handle } of older) this.token.cryptoki.destroy(this.token.holder, handle);
  }

  #fitsBy(key: Numbered, age: number, message: Buffer, isSame: (expected: Buffer) => boolean): boolean {
    try {
      return isSame(this.#macBy(key, message));
    } catch (error) {
      // Another custodian destroyed it.
      if (age > 0 && error instanceof CryptokiError) return false;
      throw error;
    }
  }

  #macBy({ handle }: Numbered, message: Buffer): Buffer {
    return this.token.operate((session) => this.token.cryptoki.mac(session, handle, message));
  }

  #make(number: number): void {
    const { token } = this;
    findOrCreate(token, namedBindingKey(number), () => [token.cryptoki.generateKey(token.holder, 'generic', bindingKey(number))]);
  }

  #lookedUp(): readonly Numbered[] {
    const { token } = this;
    const found = token.find(anyBindingKey).map((handle) => ({ number: this.#numberOf(handle), handle }));
    if (found.length === 0) throw new CustodyUnavailable('there is no binding key on this token');
    if (new Set(found.map(({ number }) => number)).size < found.length)
      throw new CustodyUnavailable('several objects of one name on the token');
    for (const { handle } of found) refuseWeak(token, 'the binding key', handle, { ...STAYS_INSIDE, modifiable: false });
    this.#lookedAt = performance.now();
    return found.sort((one, other) => other.number - one.number);
  }

  #numberOf(key: KeyHandle): number {
    const number = bindingKeyNumber(this.token.cryptoki.attribute(this.token.holder, key, 'label').toString('latin1'));
    if (number === undefined) throw new CustodyUnavailable('a binding key has an unknown name');
    return number;
  }
}
