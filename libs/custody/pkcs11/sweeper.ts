import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyHandle } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import { LABEL_PREFIX } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { OBJECT_CLASS } from './template.js';

export interface SweepReport {
  /** Half-made objects that were destroyed. */
  readonly destroyed: number;
  /** Complete objects of Keyward. They stay: a restored older database does not know them, a newer one will again. */
  readonly complete: number;
  /** Objects that are not ours. */
  readonly foreign: number;
}

const GRACE_MS = 1000;

/**
 * Destroys what a crash left half made: token objects of ours, or without any name, that have no CKA_ID. Looks twice, because
 * another custodian may be in the middle of making one.
 */
export async function sweep(token: OpenToken): Promise<SweepReport> {
  const before = inventory(token).halfMade.map((handle) => handle.toString('hex'));
  if (before.length > 0) await sleep(GRACE_MS);
  const { halfMade, complete, foreign } = inventory(token);
  const stale = halfMade.filter((handle) => before.includes(handle.toString('hex')));
  for (const handle of stale) token.cryptoki.destroy(token.holder, handle);
  return { destroyed: stale.length, complete, foreign };
}

function inventory(token: OpenToken) {
  const halfMade: KeyHandle[] = [];
  const counts = { complete: 0, foreign: 0 };
  for (const objectClass of Object.values(OBJECT_CLASS)) {
    for (const handle of token.find({ class: objectClass, token: true })) {
      const [id, label] = [textOf(token, handle, 'id'), textOf(token, handle, 'label')];
      if (id === '' && (label === '' || label.startsWith(LABEL_PREFIX))) halfMade.push(handle);
      else if (label.startsWith(LABEL_PREFIX)) counts.complete += 1;
      else counts.foreign += 1;
    }
  }
  return { halfMade, ...counts };
}

/** Empty when a half-made object does not even have the attribute. */
function textOf(token: OpenToken, handle: KeyHandle, name: 'id' | 'label'): string {
  try {
    return token.cryptoki.attribute(token.holder, handle, name).toString('latin1');
  } catch (error) {
    if (error instanceof CryptokiError) return '';
    throw error;
  }
}
