import { readFileSync, statSync } from 'node:fs';
import type { TokenState } from './cryptoki.js';

/**
 * The PIN, or the way to it, is not right. The process must end and stay down: another try could be the one
 * after which a real HSM locks or erases the token.
 */
export class PinRefused extends Error {}

/**
 * Reads a PIN from a file that nobody but its owner can read.
 * @throws PinRefused when it is missing, empty or readable by others.
 */
export function readPin(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new PinRefused(`The PIN file ${path} does not exist.`);
  if ((stat.mode & 0o077) !== 0) throw new PinRefused(`The PIN file ${path} can be read by others; it must have mode 0600.`);
  const pin = readFileSync(path, 'utf8').trim();
  if (pin === '') throw new PinRefused(`The PIN file ${path} is empty.`);
  return pin;
}

/** Looks at the token's flags before a PIN is tried. @throws PinRefused when a try could cost the token. */
export function refuseRiskyPin(state: TokenState): void {
  const risk = state.pinLocked
    ? 'is locked'
    : state.pinFinalTry
      ? 'has one try left'
      : state.pinCountLow
        ? 'was refused since it last worked'
        : '';
  if (risk !== '')
    throw new PinRefused(`The user PIN of token "${state.label}" ${risk}; log in once with the vendor's tool, then start again.`);
}
