import { randomUUID } from 'node:crypto';
import type { FinishRewrapRequest, LongOperationId, ProblemCode, RewrapItem, RewrapPageRequest, RewrapResult } from '#contract';
import type { ItemOutcome } from './batch.js';
import type { Call } from './call.js';
import { parseCiphertext } from './ciphertext.js';
import { KeywardError } from './errors.js';
import { UNKNOWN_REWRAP } from './handlers/rewraps.js';
import type { RewrapProject } from './operation-shapes.js';
import type { Answered, Pipeline } from './pipeline.js';
import { reEncryptBatch } from './re-encryption.js';

type Steps = Pick<Pipeline<'RewrapPage' | 'SettleRewrapPage' | 'FinishRewrap' | 'ReEncryptFrom' | 'ReEncryptTo'>, 'run' | 'runBatch'>;
type Outcome = RewrapResult | KeywardError;

/** Faults of one item, whatever the rules are: it fails alone, for good. */
const OWN_FAULTS: ReadonlySet<ProblemCode> = new Set(['decrypt-failed', 'invalid-request']);
/** What rules and the key's state refuse now. Whatever else there is says nothing about the project: it is asked for again. */
const SUSPENDING: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  ...(['not-granted', 'stopped', 'key-disabled', 'key-pending-deletion', 'key-pending-import', 'key-exhausted', 'key-destroyed'] as const),
]);

/**
 * One page of a re-wrap: the one before it is counted, the items are re-encrypted as by anybody (each decided, permitted, fenced and
 * recorded by itself, under the service's own grants), and what came of them is kept until the service says that it wrote it back.
 * So a page that a crash cut off is taken again, and no item counts twice.
 * @throws KeywardError of the whole page. What rules or the key's state refuse suspends the project
 */
export function rewrapPage(
  pipeline: Steps,
  call: Call,
  operationId: LongOperationId,
  { items, ...request }: RewrapPageRequest,
): Promise<Answered<'SettleRewrapPage'>> {
  const page = randomUUID();
  return orSuspended(pipeline, call, { operationId, page }, async () => {
    const { answer: project, seq } = await pipeline.run('RewrapPage', call, { ...request, operationId, page, items: items.length });
    const outcomes = await rewrapped(pipeline, call, project, items);
    const refusal = refusalOf(outcomes);
    if (refusal !== undefined) throw refusal;
    const results = outcomes.map((outcome) => (outcome instanceof KeywardError ? failed(outcome) : outcome));
    const settled = { operationId, page, cursor: request.cursor, next: request.next, seq: seq ?? 0n };
    return await pipeline.run('SettleRewrapPage', call, { ...settled, results, itemIds: items.map(({ data }) => data?.itemId ?? '') });
  });
}

/** The end of a re-wrap. @throws KeywardError. What rules or the key's state refuse suspends the project */
export function finishRewrap(
  pipeline: Steps,
  call: Call,
  operationId: LongOperationId,
  request: FinishRewrapRequest,
): Promise<Answered<'FinishRewrap'>> {
  return orSuspended(pipeline, call, { operationId, page: undefined }, () =>
    pipeline.run('FinishRewrap', call, { ...request, operationId }),
  );
}

async function orSuspended<Answer>(
  pipeline: Steps,
  call: Call,
  project: { readonly operationId: LongOperationId; readonly page: string | undefined },
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KeywardError && SUSPENDING.has(error.code) && error.reason !== UNKNOWN_REWRAP)
      await pipeline.run('SettleRewrapPage', call, { ...project, refusedBy: error.code });
    throw error;
  }
}

const failed = ({ code }: KeywardError): RewrapResult => ({ status: 'failed', code });

/** Why the page as a whole cannot be: what is not the fault of one item. Not granted is one item's label, unless it is everybody's. */
function refusalOf(outcomes: readonly Outcome[]): KeywardError | undefined {
  const errors = outcomes.filter((outcome) => outcome instanceof KeywardError);
  const others = errors.filter(({ code }) => !OWN_FAULTS.has(code) && code !== 'not-granted');
  const isNobodyGranted = !outcomes.some((outcome) => !(outcome instanceof KeywardError) && outcome.status === 'moved');
  return others[0] ?? (isNobodyGranted ? errors.find(({ code }) => code === 'not-granted') : undefined);
}

async function rewrapped(pipeline: Steps, call: Call, project: RewrapProject, items: RewrapPageRequest['items']): Promise<Outcome[]> {
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

/**
 * What its header tells: undefined, if it is one that is to be moved, under the project's older version or any other that is older. Of
 * what is kept nothing is proven: by its header it refers to no older version, that is all.
 */
export function beforehand(
  {
    rewrap,
    versions,
  }: Pick<RewrapProject, 'versions'> & { readonly rewrap: Pick<RewrapProject['rewrap'], 'fromVersionId' | 'toVersionId'> },
  { ciphertext }: { readonly ciphertext: Uint8Array },
): Extract<RewrapResult, { status: 'kept' }> | KeywardError | undefined {
  try {
    const { versionId } = parseCiphertext(ciphertext);
    if (!versions.has(versionId)) return new KeywardError('decrypt-failed', '', { reason: 'another-key' });
    // Ids of versions are in the order of their making (UUIDv7).
    return versionId === rewrap.fromVersionId || versionId < rewrap.toVersionId ? undefined : { status: 'kept' };
  } catch (error) {
    if (error instanceof KeywardError) return error;
    throw error;
  }
}

const sameKey = ({ rewrap: { keyId } }: RewrapProject, { ciphertext, encryptionContext, justification }: RewrapItem) => ({
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
