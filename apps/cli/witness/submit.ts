import type { KeyLink } from '#contract';
import {
  cosignaturesOf,
  formatAddCheckpoint,
  NoteRefused,
  parseCheckpoint,
  parseNote,
  parseWitnessKey,
  TLOG_SIZE_TYPE,
  type VerifierKey,
} from '#trail';
import { hashOfOrigin } from './kept-heads.js';

const ANSWER_WITHIN_MS = 10_000;
const MAX_ANSWER_CHARACTERS = 65_536;

/** The log as the auditor plane shows it. */
export interface ShownLog {
  /** A signed note. */
  readonly checkpoint: string;
  /** From an earlier size to the checkpoint's. */
  consistency(from: number): Promise<readonly Uint8Array[]>;
  /** How its keys followed from one another: for a witness that knows an older one. */
  readonly rotations?: readonly KeyLink[] | undefined;
  /** Records under the checkpoint that it shows to whoever asks now. */
  newestSize(): Promise<bigint>;
}

/**
 * Why a witness gave no cosignature. The first three accuse the log; nobody should go on trusting it before this is explained.
 * `overtaken`: somebody fed the witness a newer checkpoint meanwhile, which the log shows as well: to be tried with that one.
 */
export type SubmissionProblem =
  | 'fork'
  | 'rolled-back'
  | 'not-a-continuation'
  | 'bad-signature'
  | 'overtaken'
  | 'not-watched'
  | 'unavailable';

export class SubmissionRefused extends Error {
  constructor(
    readonly code: SubmissionProblem,
    detail: string,
    cause?: unknown,
  ) {
    super(detail, { cause });
    this.name = 'SubmissionRefused';
  }
}

/**
 * Gives the checkpoint to a witness (C2SP tlog-witness) and answers its signature lines, of which one at least is of `keys`.
 * @throws SubmissionRefused
 */
export async function submit(witness: string, log: ShownLog, keys: readonly string[]): Promise<string> {
  const { size } = parseCheckpoint(log.checkpoint);
  let held = 0;
  let knowsKeys = (log.rotations ?? []).length === 0;
  // The first try tells what the witness holds; a second 409 comes when somebody else fed it meanwhile.
  for (let attempt = 0; attempt < 4; attempt++) {
    const proof = held === 0 || held === Number(size) ? [] : await log.consistency(held);
    const { status, type, text } = await post(witness, formatAddCheckpoint({ oldSize: held, proof, checkpoint: log.checkpoint }));
    if (status === 200) return await genuine(witness, log.checkpoint, text, keys.map(parseWitnessKey));
    if (status === 403 && !knowsKeys) {
      knowsKeys = true;
      await tellKeys(witness, log.rotations ?? []);
      continue;
    }
    if (status !== 409) throw refusalOf(witness, status, text);
    const next = sizeIn(witness, type, text);
    if (next > size) throw ahead(witness, next, await log.newestSize());
    if (Number(next) === held && next === size)
      throw new SubmissionRefused('fork', `${witness} saw another log of ${size} records under the same key.`);
    held = Number(next);
  }
  throw new SubmissionRefused('unavailable', `${witness} is being fed by others at the same time; try again.`);
}

/** A checkpoint is older than the witness's: so may be the log, or only what was taken from it a moment ago. */
function ahead(witness: string, held: bigint, newest: bigint): SubmissionRefused {
  return held > newest
    ? new SubmissionRefused('rolled-back', `${witness} saw this log with ${held} records; now it has ${newest}.`)
    : new SubmissionRefused('overtaken', `${witness} was given a newer checkpoint, of ${held} records, meanwhile; try again.`);
}

/** The checkpoint of a log that a witness cosigned last, cosignature and all. Verifies nothing. @throws SubmissionRefused */
export async function heldBy(witness: string, origin: string): Promise<string> {
  const { status, text } = await ask(witness, `${hashOfOrigin(origin)}/checkpoint`);
  if (status !== 200) throw refusalOf(witness, status, text);
  return text;
}

/** A witness of another make answers 404: its owner tells it the new key. Then the next submission says so. */
async function tellKeys(witness: string, rotations: readonly KeyLink[]): Promise<void> {
  await post(witness, rotations.map((link) => `${JSON.stringify(link)}\n`).join(''), 'add-keys');
}

const post = (witness: string, body: string, path = 'add-checkpoint') =>
  ask(witness, path, { method: 'POST', body, headers: { 'content-type': 'text/plain; charset=utf-8' } });

async function ask(witness: string, path: string, request: RequestInit = {}) {
  try {
    const limits: RequestInit = { redirect: 'error', signal: AbortSignal.timeout(ANSWER_WITHIN_MS) };
    const answer = await fetch(`${witness.replace(/\/$/, '')}/${path}`, { ...request, ...limits });
    const text = (await answer.text()).slice(0, MAX_ANSWER_CHARACTERS);
    return { status: answer.status, type: answer.headers.get('content-type'), text };
  } catch (cause) {
    throw new SubmissionRefused('unavailable', `${witness} does not answer.`, cause);
  }
}

function refusalOf(witness: string, status: number, text: string): SubmissionRefused {
  const said = `${witness} answered ${status}: ${text.trim().slice(0, 200)}`;
  if (status === 422) return new SubmissionRefused('not-a-continuation', `The log does not continue what the witness saw. ${said}`);
  if (status === 403) return new SubmissionRefused('bad-signature', said);
  if (status === 404) return new SubmissionRefused('not-watched', said);
  return new SubmissionRefused('unavailable', said);
}

function sizeIn(witness: string, type: string | null, text: string): bigint {
  const size = type === TLOG_SIZE_TYPE ? /^(0|[1-9][0-9]{0,15})\n$/.exec(text)?.[1] : undefined;
  if (size === undefined) throw new SubmissionRefused('unavailable', `${witness} does not say which size it holds.`);
  return BigInt(size);
}

async function genuine(witness: string, checkpoint: string, lines: string, keys: readonly VerifierKey[]): Promise<string> {
  try {
    const note = parseNote(checkpoint + lines);
    if (note.body === parseNote(checkpoint).body && (await cosignaturesOf(note, keys)).length > 0) return lines;
  } catch (cause) {
    if (!(cause instanceof NoteRefused)) throw cause;
    throw new SubmissionRefused('bad-signature', `${witness} answered no cosignature: ${cause.message}`, cause);
  }
  throw new SubmissionRefused('bad-signature', `${witness} answered a cosignature of a key that you did not name.`);
}
