import type { Cryptoki, KeyHandle, Session, Slot } from './cryptoki.js';
import { CIPHERTEXT_CODES, CKR_OPERATION_ACTIVE, CKR_TOKEN_NOT_PRESENT, CryptokiError, PIN_CODES } from './cryptoki-error.js';
import { PinRefused, refuseRiskyPin } from './pin.js';
import { type Dialect, dialectOf } from './dialect.js';
import type { Template } from './template.js';

/**
 * One token, logged in, between one C_Initialize and its C_Finalize: an epoch. Whatever holds handles is built on one of these
 * and dropped with it, because after a new C_Initialize an old handle names another key.
 *
 * The holder session owns every session object and runs one-shot calls only. Multi-call operations (Init, then result) run in
 * the operation session, which is replaced after an error: PKCS#11 2.40 cannot cancel an operation that stayed active.
 * One operation session is enough, since calls are synchronous.
 */
export class OpenToken {
  /** Session objects destroyed so far: SoftHSM keeps 245 bytes for each until the process ends. */
  destroyed = 0;
  #operation: Session;

  private constructor(
    readonly cryptoki: Cryptoki,
    readonly slot: Slot,
    readonly holder: Session,
    readonly dialect: Dialect,
  ) {
    this.#operation = cryptoki.openSession(slot, 'read');
  }

  /**
   * Finds the token by its label and logs in. Never logs out: that would destroy the session objects.
   * @throws PinRefused when the PIN is wrong or its flags say that a try is risky.
   */
  static open(cryptoki: Cryptoki, label: string, pin: string): OpenToken {
    const slot = slotOf(cryptoki, label);
    refuseRiskyPin(cryptoki.tokenState(slot));
    const holder = cryptoki.openSession(slot, 'read-write');
    try {
      cryptoki.login(holder, 'user', pin);
    } catch (error) {
      if (error instanceof CryptokiError && PIN_CODES.has(error.code)) throw new PinRefused(error.message);
      throw error;
    }
    const dialect = dialectOf(cryptoki, holder);
    cryptoki.keyWrapPad = dialect.keyWrapPad;
    return new OpenToken(cryptoki, slot, holder, dialect);
  }

  /**
   * Runs a multi-call operation. Callers can send bad ciphertexts at will, and another session takes SoftHSM milliseconds once it holds
   * thousands of keys: since C_Decrypt has ended the operation, the session stays, and is replaced only when the next Init says otherwise.
   */
  operate<T>(operation: (session: Session) => T): T {
    try {
      return operation(this.#operation);
    } catch (error) {
      const code = error instanceof CryptokiError ? error.code : undefined;
      if (code !== undefined && CIPHERTEXT_CODES.has(code)) throw error;
      this.#replaceOperationSession();
      if (code === CKR_OPERATION_ACTIVE) return operation(this.#operation);
      throw error;
    }
  }

  /** Runs what takes seconds on another thread, in a session of its own: objects that it makes there, a pair at most, end with it. */
  async aside<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = this.cryptoki.openSession(this.slot, 'read');
    try {
      return await work(session);
    } finally {
      this.destroyed += 2;
      this.cryptoki.closeSession(session);
    }
  }

  find(template: Template): readonly KeyHandle[] {
    return this.operate((session) => this.cryptoki.find(session, template));
  }

  destroy(key: KeyHandle): void {
    this.destroyed += 1;
    this.cryptoki.destroy(this.holder, key);
  }

  #replaceOperationSession(): void {
    const broken = this.#operation;
    this.#operation = this.cryptoki.openSession(this.slot, 'read');
    this.cryptoki.closeSession(broken);
  }
}

function slotOf(cryptoki: Cryptoki, label: string): Slot {
  const found = cryptoki.slots().filter((slot) => {
    const state = cryptoki.tokenState(slot);
    return state.initialised && state.label === label;
  });
  const [slot] = found;
  if (slot === undefined || found.length > 1)
    throw new CryptokiError(`${found.length} tokens "${label}"`, CKR_TOKEN_NOT_PRESENT, 'CKR_TOKEN_NOT_PRESENT');
  return slot;
}
