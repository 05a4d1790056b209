import type { ReEncryptRequest } from '#contract';
import type { BatchItem, ItemOutcome } from './batch.js';
import type { Call } from './call.js';
import type { KeywardError } from './errors.js';
import type { InputOf, OpenedResult, DryRunResult } from './operation-shapes.js';
import type { Answered, AnsweredBatch, Pipeline } from './pipeline.js';

type Steps = Pipeline<'ReEncryptFrom' | 'ReEncryptTo'>;
type Opened = OpenedResult | DryRunResult;

/**
 * From one key to another of the same tenant: two operations, each decided, permitted, fenced and recorded by itself, under one request
 * id. The source's record is durable before the destination sees a byte; the plaintext lives between the two, and is wiped here.
 * @throws KeywardError of the first of the two that refuses; its record is that of the refusal
 */
export async function reEncrypt(pipeline: Pick<Steps, 'run'>, call: Call, request: ReEncryptRequest): Promise<Answered<'ReEncryptTo'>> {
  const from = await pipeline.run('ReEncryptFrom', call, sourceOf(request));
  try {
    return await pipeline.run('ReEncryptTo', call, destinationOf(request, from.answer));
  } finally {
    from.secret?.fill(0);
  }
}

/** Many at once, each as if it were alone: those that one step refuses do not reach the next. */
export async function reEncryptBatch(
  pipeline: Pick<Steps, 'runBatch'>,
  call: Call,
  items: readonly ({ readonly input: ReEncryptRequest } | { readonly error: KeywardError })[],
): Promise<AnsweredBatch<'ReEncryptTo'>> {
  const sources = items.map((item): BatchItem<'ReEncryptFrom'> => ('input' in item ? { input: sourceOf(item.input) } : item));
  const from = await pipeline.runBatch('ReEncryptFrom', call, sources);
  try {
    const opened = items.flatMap((item, index) => {
      const outcome = from.items[index];
      return 'input' in item && outcome !== undefined && 'answer' in outcome
        ? [{ index, input: destinationOf(item.input, outcome.answer) }]
        : [];
    });
    if (opened.length === 0) return { items: from.items.filter((outcome) => 'error' in outcome), secret: from.secret };
    const to = await pipeline.runBatch('ReEncryptTo', call, opened);
    const moved = new Map(opened.map(({ index }, place) => [index, to.items[place]]));
    const outcomes = from.items.map((outcome, index): ItemOutcome<'ReEncryptTo'> => ('error' in outcome ? outcome : moved.get(index)!));
    return { items: outcomes, secret: to.secret };
  } finally {
    from.secret.fill(0);
  }
}

const sourceOf = ({ ciphertext, dryRun, justification, ...request }: ReEncryptRequest): InputOf<'ReEncryptFrom'> => ({
  ...{ ciphertext, dryRun, justification },
  keyId: request.sourceKeyId,
  encryptionContext: request.sourceEncryptionContext,
});

const destinationOf = ({ dryRun, justification, ...request }: ReEncryptRequest, opened: Opened): InputOf<'ReEncryptTo'> => ({
  ...{ dryRun, justification },
  keyId: request.destinationKeyId,
  encryptionContext: request.destinationEncryptionContext,
  opened: 'dryRun' in opened ? undefined : opened,
});
