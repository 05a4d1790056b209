import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Cryptoki } from './cryptoki.js';
import type { Slot } from './cryptoki.js';
import { readPin } from './pin.js';

export interface NewTokenOptions {
  /** Absolute path of the vendor's PKCS#11 module. */
  readonly module: string;
  readonly tokenLabel: string;
  readonly pinFile: string;
  /** Written once; once the token exists, no process of Keyward reads it again. */
  readonly soPinFile: string;
}

/**
 * Makes the token with this label, with random PINs in files of mode 0600, unless it is there already. May be repeated, also
 * after a crash half way. Slots get new numbers: start custodians afterwards.
 * @throws PinRefused when a PIN file is readable by others, CryptokiError when the module refuses.
 */
export function initialiseToken(options: NewTokenOptions): 'created' | 'present' {
  const cryptoki = new Cryptoki(options.module);
  cryptoki.initialise();
  try {
    const present = slotWhere(cryptoki, ({ initialised, label }) => initialised && label === options.tokenLabel);
    if (present !== undefined && cryptoki.tokenState(present).userPinSet) return 'present';
    const soPin = keptPin(options.soPinFile);
    const pin = keptPin(options.pinFile);
    if (present === undefined) cryptoki.initToken(freeSlot(cryptoki), soPin, options.tokenLabel);
    setUserPin(cryptoki, options.tokenLabel, soPin, pin);
    return 'created';
  } finally {
    cryptoki.finalise();
  }
}

function setUserPin(cryptoki: Cryptoki, label: string, soPin: string, pin: string): void {
  const slot = slotWhere(cryptoki, (state) => state.initialised && state.label === label);
  if (slot === undefined) throw new Error('The new token does not show.');
  const session = cryptoki.openSession(slot, 'read-write');
  cryptoki.login(session, 'so', soPin);
  cryptoki.initPin(session, pin);
  cryptoki.closeSession(session);
}

function freeSlot(cryptoki: Cryptoki): Slot {
  const slot = slotWhere(cryptoki, ({ initialised }) => !initialised);
  if (slot === undefined) throw new Error('The module has no slot with an uninitialised token.');
  return slot;
}

function slotWhere(cryptoki: Cryptoki, fits: (state: ReturnType<Cryptoki['tokenState']>) => boolean): Slot | undefined {
  return cryptoki.slots().find((slot) => fits(cryptoki.tokenState(slot)));
}

/** The PIN in the file, made first if there is no file: a crash must not leave a token whose PIN nobody kept. */
function keptPin(path: string): string {
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx', flush: true });
  }
  return readPin(path);
}
