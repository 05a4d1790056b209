/** A PKCS#11 call did not return CKR_OK. Carries names and numbers only, never arguments. */
export class CryptokiError extends Error {
  /** CK_RV. Vendors' own codes are told by number only. */
  readonly code: number;

  constructor(method: string, code: number, name: string) {
    super(`${method}: ${name} (0x${code.toString(16)})`);
    this.name = 'CryptokiError';
    this.code = code;
  }
}

/** Runs one call of the binding and gives its error our type. TypeErrors of the binding are bugs here and pass. */
export function checked<T>(method: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw ours(method, error);
  }
}

/** The same, of a call that another thread makes. */
export const checkedLater = <T>(method: string, call: Promise<T>): Promise<T> =>
  call.catch((error: unknown) => {
    throw ours(method, error);
  });

/** What the binding throws as it is, without a code, where its class overrides a function: C_CreateObject is one. */
const TOLD_IN_TEXT = /^(CKR_\w+):(\d+)/;

function ours(method: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if ('code' in error && typeof error.code === 'number') return new CryptokiError(method, error.code, error.message);
  const [, name, code] = TOLD_IN_TEXT.exec(error.message) ?? [];
  return name === undefined ? error : new CryptokiError(method, Number(code), name);
}

export const CKR_GENERAL_ERROR = 0x05;

/** What modules answer to a wrong tag, AAD or length; SoftHSM 2.6 says CKR_GENERAL_ERROR, which alone proves nothing. */
export const CIPHERTEXT_CODES: ReadonlySet<number> = new Set([CKR_GENERAL_ERROR, 0x20, 0x21, 0x40, 0x41]);

/** CKR_SIGNATURE_INVALID, _LEN_RANGE. */
export const SIGNATURE_CODES: ReadonlySet<number> = new Set([0xc0, 0xc1]);

/** CKR_FUNCTION_NOT_SUPPORTED, CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_MECHANISM_INVALID, _PARAM_INVALID. */
export const MECHANISM_CODES: ReadonlySet<number> = new Set([0x54, 0x68, 0x70, 0x71]);

/** CKR_PIN_INCORRECT, _INVALID, _LEN_RANGE, _EXPIRED, _LOCKED, CKR_USER_PIN_NOT_INITIALIZED. */
export const PIN_CODES: ReadonlySet<number> = new Set([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x102]);

/** Of an Init: the one before has not ended. Nothing was done. */
export const CKR_OPERATION_ACTIVE = 0x90;
export const CKR_TOKEN_NOT_PRESENT = 0xe0;
export const CKR_MECHANISM_INVALID = 0x70;
