import type { CiphertextResult, DataKeyResult, DryRunResult, PlaintextResult } from '#core';
import { base64Length, writeBase64 } from './base64.js';

type UsedKey = Pick<CiphertextResult, 'keyId' | 'keyVersionId'>;

// Identifiers are letters, digits and underscores (contract): nothing in them needs escaping.
const opening = ({ keyId, keyVersionId }: UsedKey) => `{"keyId":"${keyId}","keyVersionId":"${keyVersionId}","`;

const CIPHERTEXT = 'ciphertext":"';
const PLAINTEXT = 'plaintext":"';
const NEXT = '","';
const CLOSING = '"}';

/** JSON of one bytes field behind the used key; a buffer that can be wiped. */
function oneField(key: UsedKey, name: string, bytes: Uint8Array): Buffer {
  const start = opening(key) + name;
  const body = Buffer.allocUnsafe(start.length + base64Length(bytes.length) + CLOSING.length);
  const at = writeBase64(body, body.write(start, 0, 'latin1'), bytes);
  body.write(CLOSING, at, 'latin1');
  return body;
}

const dryRunBody = (answer: DryRunResult): Buffer => Buffer.from(JSON.stringify(answer));

export const ciphertextBody = (answer: CiphertextResult | DryRunResult): Buffer =>
  'dryRun' in answer ? dryRunBody(answer) : oneField(answer, CIPHERTEXT, answer.ciphertext);

export const plaintextBody = (answer: PlaintextResult | DryRunResult): Buffer =>
  'dryRun' in answer ? dryRunBody(answer) : oneField(answer, PLAINTEXT, answer.plaintext);

/** The plaintext stands last, so that the whole is written from front to back. */
export function dataKeyBody(answer: DataKeyResult | DryRunResult): Buffer {
  if ('dryRun' in answer) return dryRunBody(answer);
  const start = opening(answer) + CIPHERTEXT;
  const middle = NEXT + PLAINTEXT;
  const { ciphertext, plaintext } = answer;
  const length = start.length + base64Length(ciphertext.length) + middle.length + base64Length(plaintext.length) + CLOSING.length;
  const body = Buffer.allocUnsafe(length);
  let at = body.write(start, 0, 'latin1');
  at = writeBase64(body, at, ciphertext);
  at += body.write(middle, at, 'latin1');
  at = writeBase64(body, at, plaintext);
  body.write(CLOSING, at, 'latin1');
  return body;
}
