import { randomUUID } from 'node:crypto';
import type { LongOperationId, ProblemCode, RewrapItem, RewrapPageRequest, RewrapResult } from '#contract';
import type { ItemOutcome } from './batch.js';
import type { Call } from './call.js';
import { parseCiphertext } from './ciphertext.js';
import { KeywardError } from './errors.js';
import type { Answered, Pipeline } from './pipeline.js';
import type { TakenPage } from './ports/rewraps.js';
import { reEncryptBatch } from './re-encryption.js';

type Steps = Pick<Pipeline<'RewrapPage' | 'SettleRewrapPage' | 'ReEncryptFrom' | 'ReEncryptTo'>, 'run' | 'runBatch'>;
type Project = Pick<TakenPage, 'rewrap' | 'versions'>;
type Outcome = RewrapResult | KeywardError;

/** Faults of one item, whatever the rules are: it fails alone, for good. */
const OWN_FAULTS: ReadonlySet<ProblemCode> = new Set(['decrypt-failed', 'invalid-request']);
/** They say nothing about the item: the page is asked for again. */
const PASSING: ReadonlySet<ProblemCode> = new Set(['unavailable', 'too-many-requests', 'internal']);

/**
 * One page of a re-wrap: the one before it is counted, the items are re-encrypted as by anybody (each decided, permitted, fenced and
 * recorded by itself, under the service's own grants), and what came of them is kept until the service says that it wrote it back.
 * So a page that a crash cut off is taken again, and no item counts twice.
 * @throws KeywardError of the whole page. What rules or the key's state refuse suspends the project
 */
export async function rewrapPage(
  pipeline: Steps,
  call: Call,
  operationId: LongOperationId,
  { items, ...request }: RewrapPageRequest,
): Promise<Answered<'SettleRewrapPage'>> {
  const { answer: project, seq } = await pipeline.run('RewrapPage', call, { ...request, operationId, items: items.length });
  const outcomes = await rewrapped(pipeline, call, project, items);
  const page = { operationId, page: randomUUID(), cursor: request.cursor, next: request.next, seq: seq ?? 0n };
  const refusal = refusalOf(outcomes);
  if (refusal === undefined) {
    const results = outcomes.map((outcome) => (outcome instanceof KeywardError ? failed(outcome) : outcome));
    return await pipeline.run('SettleRewrapPage', call, { ...page, results, itemIds: items.map(({ data }) => data?.itemId ?? '') });
  }
  if (!PASSING.has(refusal.code)) await pipeline.run('SettleRewrapPage', call, { ...page, refusedBy: refusal.code });
  throw refusal;
}

const failed = ({ code }: KeywardError): RewrapResult => ({ status: 'failed', code });

/** Why the page as a whole cannot be: what is not the fault of one item. Not granted is one item's label, unless it is everybody's. */
function refusalOf(outcomes: readonly Outcome[]): KeywardError | undefined {
  const errors = outcomes.filter((outcome) => outcome instanceof KeywardError);
  const others = errors.filter(({ code }) => !OWN_FAULTS.has(code) && code !== 'not-granted');
  const isNobodyGranted = !outcomes.some((outcome) => !(outcome instanceof KeywardError) && outcome.status === 'moved');
  return others[0] ?? (isNobodyGranted ? errors.find(({ code }) => code === 'not-granted') : undefined);
}

async function rewrapped(pipeline: Steps, call: Call, project: Project, items: RewrapPageRequest['items']): Promise<Outcome[]> {
  const outcomes = items.map((item) => (item.success ? beforehand(project, item.data) : new KeywardError('invalid-request')));
  const open = items.flatMap((item, index) => (item.success && outcomes[index] === undefined ? [{ index, item: item.data }] : []));
  if (open.length === 0) return outcomes.filter((outcome) => outcome !== undefined);
  const { items: answered } = await reEncryptBatch(
    pipeline,
    call,
    open.map(({ item }) => ({ input: sameKey(project, item) })),
  );
  const moved = new Map(open.map(({ index }, place) => [index, outcomeOf(answered[place]!)]));
  return outcomes.map((outcome, index) => outcome ?? moved.get(index)!);
}

/** What its header tells: undefined, if it is one that is to be moved. Of what is not moved nothing is proven: it is no reference to the version, that is all. */
function beforehand({ rewrap, versions }: Project, { ciphertext }: RewrapItem): Outcome | undefined {
  try {
    const { versionId } = parseCiphertext(ciphertext);
    if (versionId === rewrap.fromVersionId) return undefined;
    return versions.includes(versionId) ? { status: 'kept' } : new KeywardError('decrypt-failed', '', { reason: 'another-key' });
  } catch (error) {
    if (error instanceof KeywardError) return error;
    throw error;
  }
}

const sameKey = ({ rewrap: { keyId } }: Project, { ciphertext, encryptionContext, justification }: RewrapItem) => ({
  ...{ ciphertext, justification },
  ...{ sourceKeyId: keyId, sourceEncryptionContext: encryptionContext },
  ...{ destinationKeyId: keyId, destinationEncryptionContext: encryptionContext },
});

function outcomeOf(outcome: ItemOutcome<'ReEncryptTo'>): Outcome {
  if ('error' in outcome) return outcome.error;
  const { answer } = outcome;
  if ('dryRun' in answer) throw new KeywardError('internal', '', { reason: 'a dry run of a re-wrap' });
  return { status: 'moved', ciphertext: Buffer.from(answer.ciphertext).toString('base64') };
}
