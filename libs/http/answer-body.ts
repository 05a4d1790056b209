import {
  type AsymmetricCiphertextResult,
  type AsymmetricPlaintextResult,
  type CiphertextResult,
  type DataKeyResult,
  type DryRunResult,
  type ForRecipient,
  type ItemOutcome,
  type KeylessDryRunResult,
  type KeywardError,
  type MacResult,
  pemOf,
  type PasswordResult,
  type PlaintextResult,
  type PublicKeyResult,
  type RandomResult,
  type SecretValueResult,
  type SignatureResult,
  type ValidityResult,
} from '#core';
import { FRAMED, joinFrame, joinItems, type OperationName } from '#contract';
import { base64Length, writeBase64 } from './base64.js';
import type { FramedOperation } from './frame-body.js';
import { problemOf } from './problem.js';

/** JSON in pieces: text of ASCII as it stands, and bytes that become base64. */
type Piece = string | Uint8Array;
/** The members of an answer's object, without its braces. */
export type Members<Answer> = (answer: Answer) => readonly Piece[];

// Identifiers are letters, digits and underscores (contract): nothing in them needs escaping.
const usedKey = ({ keyId, keyVersionId }: Pick<CiphertextResult, 'keyId' | 'keyVersionId'>) =>
  `"keyId":"${keyId}","keyVersionId":"${keyVersionId}"`;

/** Numbers and names of ours. */
const heldUnder = ({ lease }: Pick<PlaintextResult, 'lease'>) => `,"lease":${JSON.stringify(lease)}`;

export const ciphertextMembers: Members<CiphertextResult | DryRunResult> = (answer) =>
  'dryRun' in answer ? dryRun(answer) : [`${usedKey(answer)},"ciphertext":"`, answer.ciphertext, '"'];

type Plaintext<Result> = Result | ForRecipient<Result>;

export const plaintextMembers: Members<Plaintext<PlaintextResult> | DryRunResult> = (answer) =>
  'dryRun' in answer ? dryRun(answer) : [usedKey(answer), heldUnder(answer), ...plaintextOf(answer)];

export const dataKeyMembers: Members<Plaintext<DataKeyResult> | DryRunResult> = (answer) =>
  'dryRun' in answer ? dryRun(answer) : [...ciphertextMembers(answer), heldUnder(answer), ...plaintextOf(answer)];

const plaintextOf = (answer: Plaintext<{ readonly plaintext: Uint8Array }>): Piece[] =>
  'plaintext' in answer ? [',"plaintext":"', answer.plaintext, '"'] : [',"ciphertextForRecipient":"', answer.ciphertextForRecipient, '"'];

export const macMembers: Members<MacResult | DryRunResult> = (answer) =>
  'dryRun' in answer ? dryRun(answer) : [`${usedKey(answer)},"mac":"`, answer.mac, '"'];

export const validityMembers: Members<ValidityResult | DryRunResult> = (answer) =>
  'dryRun' in answer ? dryRun(answer) : [`${usedKey(answer)},"valid":${answer.valid}`];

export const signatureMembers: Members<SignatureResult | DryRunResult> = (answer) =>
  'dryRun' in answer ? dryRun(answer) : [`${usedKey(answer)},"algorithm":"${answer.algorithm}","signature":"`, answer.signature, '"'];

export const asymmetricCiphertextMembers: Members<AsymmetricCiphertextResult | DryRunResult> = (answer) =>
  'dryRun' in answer ? dryRun(answer) : [`${usedKey(answer)},"algorithm":"${answer.algorithm}","ciphertext":"`, answer.ciphertext, '"'];

export const asymmetricPlaintextMembers: Members<AsymmetricPlaintextResult | DryRunResult> = (answer) =>
  'dryRun' in answer ? dryRun(answer) : [`${usedKey(answer)},"algorithm":"${answer.algorithm}","plaintext":"`, answer.plaintext, '"'];

export const publicKeyMembers: Members<PublicKeyResult | DryRunResult> = (answer) =>
  'dryRun' in answer
    ? dryRun(answer)
    : [
        `${usedKey(answer)},"keySpec":"${answer.keySpec}","publicKey":"`,
        ...[answer.publicKey, `","pem":${JSON.stringify(pemOf(answer.publicKey))}`],
      ];

export const randomMembers: Members<RandomResult | KeylessDryRunResult> = (answer) =>
  'dryRun' in answer ? [KEYLESS_DRY_RUN] : ['"plaintext":"', answer.plaintext, '"'];
const KEYLESS_DRY_RUN = '"dryRun":true';

export const passwordMembers: Members<PasswordResult> = ({ password }) => ['"password":"', password, '"'];

/** Names, labels and ids of versions are letters, digits and few signs: nothing in them needs escaping. */
export const secretValueMembers: Members<SecretValueResult> = ({ secretId, name, versionId, labels, createdAt, format, value }) => [
  `${JSON.stringify({ secretId, name, versionId, labels, createdAt, format }).slice(1, -1)},"value":"`,
  ...[value, '"'],
];

const dryRun = (answer: DryRunResult): Piece[] => [`${usedKey(answer)},"dryRun":true`];

/** An answer's object; a buffer that can be wiped. */
export const objectBody = (members: readonly Piece[]): Buffer => written(['{', ...members, '}']);

/** A frame: the object without its last member, where that is what a frame carries as bytes, and these behind it. */
export function framedBody(operation: FramedOperation, members: readonly Piece[]): Buffer {
  const { json, bytes } = apart(operation, members);
  return joinFrame(objectBody(json), bytes);
}

/** What of an answer stands in a frame's JSON, and what behind it. */
function apart(operation: FramedOperation, members: readonly Piece[]): { json: readonly Piece[]; bytes: Uint8Array } {
  const [name, bytes] = [members.at(-3), members.at(-2)];
  const opening = `"${FRAMED[operation].answer}":"`;
  if (typeof name !== 'string' || typeof bytes === 'string' || bytes === undefined || !name.endsWith(opening))
    return { json: members, bytes: NOTHING };
  const before = name.slice(0, -opening.length);
  return { json: [...members.slice(0, -3), before.endsWith(',') ? before.slice(0, -1) : before], bytes };
}

const NOTHING = new Uint8Array(0);

type ItemAnswer<Name extends OperationName> = Extract<ItemOutcome<Name>, { answer: unknown }>['answer'];

/** The same as a frame: what `batchBody` has, without the bytes of the items, and these behind it. */
export function framedBatch<Name extends OperationName>(
  operation: FramedOperation,
  outcomes: readonly ItemOutcome<Name>[],
  members: Members<ItemAnswer<Name>>,
  requestId: string,
): Buffer {
  const parts = outcomes.map((outcome) => ('answer' in outcome ? apart(operation, members(outcome.answer)) : PROBLEM));
  const json = batchBody(outcomes, (_, index) => parts[index]!.json, requestId);
  const bytes = joinItems(parts.map((part) => part.bytes));
  try {
    return joinFrame(json, bytes);
  } finally {
    bytes.fill(0);
  }
}
const PROBLEM = { json: [], bytes: NOTHING };

/** The answer of a batch: one object an item, in order, with the place of its record; a problem in the place of an answer that is none. */
export function batchBody<Name extends OperationName>(
  outcomes: readonly ItemOutcome<Name>[],
  members: (answer: ItemAnswer<Name>, index: number) => readonly Piece[],
  requestId: string,
): Buffer {
  const pieces: Piece[] = ['{"items":['];
  for (const [index, outcome] of outcomes.entries()) {
    if (index > 0) pieces.push(',');
    if ('answer' in outcome) pieces.push('{', ...members(outcome.answer, index), `,"record":${outcome.record}}`);
    else pieces.push(failure(outcome.error, requestId));
  }
  pieces.push(']}');
  return written(pieces);
}

/** Names of fields come from the caller, so it may be any text: its UTF-8 bytes, one a character. */
function failure(error: KeywardError, requestId: string): string {
  const record = error.record === undefined ? {} : { record: Number(error.record) };
  return Buffer.from(JSON.stringify({ problem: problemOf(error, requestId), ...record })).toString('latin1');
}

/** From front to back into one buffer, never through a string that holds what was encrypted. */
function written(pieces: readonly Piece[]): Buffer {
  const length = pieces.reduce((sum, piece) => sum + (typeof piece === 'string' ? piece.length : base64Length(piece.length)), 0);
  const body = Buffer.allocUnsafe(length);
  let at = 0;
  // What stands together is written together: a call costs more than the letters.
  let text = '';
  for (const piece of pieces) {
    if (typeof piece === 'string') text += piece;
    else {
      at = writeBase64(body, at + body.write(text, at, 'latin1'), piece);
      text = '';
    }
  }
  body.write(text, at, 'latin1');
  return body;
}
