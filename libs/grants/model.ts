import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Whoever changes policies/model.conf changes what every grant means: this line must change in the same commit. */
const MODEL_SHA256 = '5ae359dcd47c5baefecd1361d6032c0f87bc9199a8e01cffa034a1446e06315d';

/** The text of policies/model.conf. @param path as the process knows its checkout, for example `checkoutPath('policies', 'model.conf')` */
export function readModel(path: string): string {
  return readFileSync(path, 'utf8');
}

/** An edited matcher would open every tenant at once, so no process starts with one. @throws Error if the text is not the product's model */
export function assertModel(text: string): void {
  const found = createHash('sha256').update(text).digest('hex');
  if (found !== MODEL_SHA256) throw new Error(`policies/model.conf is not the model of this release (SHA-256 ${found}).`);
}
