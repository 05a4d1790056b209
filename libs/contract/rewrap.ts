import { z } from 'zod';
import { base64Bytes } from './bytes.js';
import { asked, MAX_BATCH_ITEMS, MAX_CIPHERTEXT_BYTES } from './data-operations.js';
import { encryptionContext } from './encryption-context.js';
import { keyId, keyVersionId, longOperationId, serviceName, tenantId } from './identifiers.js';
import { problemCode } from './problem.js';
import { line } from './text.js';

const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });

/** Named in the answer; the count is exact however many there are. */
export const MAX_NAMED_FAILURES = 100;
const DEFAULT_ITEMS_PER_SECOND = 5000;

/** Of a service's ciphertexts. */
const modeOfService = z.enum(['pages', 'upload']);
const mode = z.enum([...modeOfService.options, 'secrets']);

/** "Move everything of this service, or all secrets, under this version to the primary one." */
export const startRewrapRequest = z
  .strictObject({
    fromVersionId: keyVersionId.meta({ description: 'the version that is to be emptied: any but the primary one' }),
    service: serviceName.optional().meta({
      description: 'whose ciphertexts: by pages it needs ReEncryptFrom and ReEncryptTo of the key. Not of secrets: those are all moved',
    }),
    itemsPerSecond: z
      .int()
      .min(1)
      .max(100_000)
      .default(DEFAULT_ITEMS_PER_SECOND)
      .meta({ description: 'faster than this it is told to wait' }),
    mode: mode.optional().meta({
      description:
        'pages, the default: the service moves page by page, under its own grants. upload: it hands its ciphertexts over, and the worker moves them; the project is the grant. secrets: the worker moves the data keys of all values of secrets; the project is the grant',
    }),
  })
  .refine(({ service, mode: by }) => (by === 'secrets') === (service === undefined), {
    ...{ path: ['service'], error: 'names whose ciphertexts are moved; with the mode secrets there is none' },
  })
  .meta({ id: 'StartRewrapRequest' });
export type StartRewrapRequest = z.infer<typeof startRewrapRequest>;

export const OPERATION_STATES = ['pending', 'running', 'suspended', 'succeeded', 'failed', 'cancelled'] as const;
export type OperationState = (typeof OPERATION_STATES)[number];
/** Of what is over. */
export const isOver = (state: OperationState): boolean => state === 'succeeded' || state === 'failed' || state === 'cancelled';

const count = z.int().min(0);
const progress = z.object({
  population: count
    .optional()
    .meta({ description: 'as it was counted beforehand, by the service or of secrets, or exactly, once all was seen' }),
  done: count.meta({ description: 'under a newer version, and written back' }),
  kept: count.meta({ description: 'of done: not moved, since by its header it was under toVersionId or a newer one already' }),
  failed: count,
  perSecond: z.number().min(0),
  etaSeconds: count.optional(),
  uploaded: count.optional().meta({ description: 'by upload: items that were handed over' }),
  settled: count
    .optional()
    .meta({ description: 'by upload: of them, those that the worker is done with; done and failed once acknowledged' }),
});
const failure = z.object({ itemId: z.string(), code: problemCode });

/** What there is to know of a re-wrap, also for the service that carries it out. */
const common = {
  operationId: longOperationId,
  kind: z.literal('ReWrap'),
  state: z.enum(OPERATION_STATES).meta({
    description:
      'suspended: the rules, or the state of the key, do not allow it now; it goes on once they do. failed: it is over, and some items were not moved',
  }),
  reason: z.string().optional().meta({ description: 'why it is suspended or cancelled' }),
  progress,
  keyId,
  fromVersionId: keyVersionId,
  toVersionId: keyVersionId.meta({ description: 'the primary one at the beginning; what became primary since is as good' }),
  itemsPerSecond: z.int(),
};

export const longOperation = z
  .object({
    ...common,
    mode,
    service: serviceName.optional().meta({ description: 'none of a re-wrap of secrets' }),
    createdBy: z.string(),
    createdAt: time,
    startedAt: time.optional(),
    endedAt: time.optional(),
    failures: z.array(failure).meta({ description: `of the items that failed, the first ${MAX_NAMED_FAILURES}` }),
    records: z
      .object({ first: count, last: count })
      .optional()
      .meta({ description: 'once it is over: everything that it did stands in the log from the one to the other' }),
  })
  .meta({ id: 'LongOperation' });
export type LongOperation = z.infer<typeof longOperation>;

export const rewrapAnswer = z
  .object({
    ...common,
    mode: modeOfService,
    service: serviceName,
    cursor: z.string().meta({ description: 'where the next page begins, in the words of the service; empty at the beginning' }),
    atEnd: z.boolean().meta({ description: 'every page was taken, and written back: it can be finished' }),
  })
  .meta({ id: 'Rewrap' });
export type RewrapAnswer = z.infer<typeof rewrapAnswer>;

const cursor = line(512);
const pageId = z.uuid();

const item = {
  itemId: line(256)
    .min(1)
    .meta({ description: "the service's own name for it; shown if it fails, so choose one that tells nothing about a person" }),
  ciphertext: base64Bytes(50, MAX_CIPHERTEXT_BYTES).meta({ description: 'base64 of what Encrypt or GenerateDataKey answered' }),
  encryptionContext: encryptionContext.optional(),
};
const rewrapItem = z.strictObject({ ...item, justification: asked.justification }).meta({ id: 'RewrapItem' });
export type RewrapItem = z.infer<typeof rewrapItem>;

const uploadedItem = z.strictObject(item).meta({ id: 'UploadedItem' });
export type UploadedItem = z.infer<typeof uploadedItem>;

/** Items that the worker is to move. The same again is no other item. */
export const uploadItemsRequest = z
  .strictObject({
    population: count.optional().meta({ description: 'how many items there are in all, if it is known' }),
    items: z.array(uploadedItem).min(1).max(MAX_BATCH_ITEMS),
  })
  .meta({ id: 'UploadItemsRequest' });
export type UploadItemsRequest = z.infer<typeof uploadItemsRequest>;

export const uploadItemsAnswer = z
  .object({
    items: z.array(z.enum(['accepted', 'different', 'not-stored'])).meta({
      description:
        'in the order of the items. accepted: it is there, since now or before. different: an item of this name is there, and is another one. not-stored: hand it over again',
    }),
  })
  .meta({ id: 'UploadedItems' });
export type UploadItemsAnswer = z.infer<typeof uploadItemsAnswer>;

const place = z.int().min(0);
export const collectResultsRequest = z
  .strictObject({
    acknowledge: place.optional().meta({ description: 'results up to this cursor are written back: they are counted, once, and not kept' }),
    after: place.optional().meta({ description: 'a cursor; default: what was acknowledged' }),
    limit: z.int().min(1).max(MAX_BATCH_ITEMS).default(MAX_BATCH_ITEMS),
  })
  .meta({ id: 'CollectResultsRequest' });
export type CollectResultsRequest = z.infer<typeof collectResultsRequest>;

/** One page: what is acknowledged with it was written back. */
export const rewrapPageRequest = z
  .strictObject({
    acknowledge: pageId.optional().meta({ description: 'the page before this one, once its results are written back: it is counted now' }),
    cursor: cursor.meta({ description: 'where this page begins, as the project says' }),
    next: cursor.min(1).optional().meta({ description: 'where the next one begins, another place than cursor; absent: this is the last' }),
    population: count.optional().meta({ description: 'how many items there are in all, if it is known' }),
    items: z
      .array(
        z
          .unknown()
          .transform((value) => rewrapItem.safeParse(value))
          .meta({ $ref: '#/components/schemas/RewrapItem' }),
      )
      .max(MAX_BATCH_ITEMS),
  })
  .meta({ id: 'RewrapPageRequest' });
export type RewrapPageRequest = z.infer<typeof rewrapPageRequest>;

export const finishRewrapRequest = z
  .strictObject({ acknowledge: pageId.optional().meta({ description: 'the last page, once its results are written back' }) })
  .meta({ id: 'FinishRewrapRequest' });
export type FinishRewrapRequest = z.infer<typeof finishRewrapRequest>;

/** What became of one item. `kept`: by its header it was under the newer version, or a later one, already. */
const moved = z.object({ status: z.literal('moved'), ciphertext: z.string().meta({ contentEncoding: 'base64' }) });
const kept = z.object({ status: z.literal('kept') });
const failed = z.object({ status: z.literal('failed'), code: problemCode });
const rewrapResult = z.discriminatedUnion('status', [moved, kept, failed]);
export type RewrapResult = z.infer<typeof rewrapResult>;
export const rewrapPageAnswer = z
  .object({
    page: pageId.meta({ description: 'acknowledge it once the results are written back' }),
    items: z.array(rewrapResult).meta({ description: 'in the order of the items' }),
  })
  .meta({ id: 'RewrapPage' });
export type RewrapPageAnswer = z.infer<typeof rewrapPageAnswer>;

const named = { itemId: z.string() };
const collectedResult = z.discriminatedUnion('status', [moved.extend(named), kept.extend(named), failed.extend(named)]);
export const collectResultsAnswer = z
  .object({
    items: z.array(collectedResult).meta({ description: 'in the order in which the worker was done with them' }),
    cursor: place.meta({ description: 'of the last one: acknowledge it once they are written back' }),
    acknowledged: place,
    uploaded: count,
    settled: count.meta({ description: 'of the uploaded ones: the worker is done with them' }),
  })
  .meta({ id: 'CollectedResults' });
export type CollectResultsAnswer = z.infer<typeof collectResultsAnswer>;

export const longOperationPath = z.strictObject({ tenant: tenantId, operation: longOperationId });

/** What a certificate tells of a re-wrap that is over. Times are RFC 3339, UTC. */
export interface CompletedRewrap {
  readonly tenant: string;
  readonly operationId: string;
  readonly keyId: string;
  readonly fromVersionId: string;
  /** Or a newer one. */
  readonly toVersionId: string;
  /** Whose ciphertexts; undefined: the tenant's secrets. */
  readonly service: string | undefined;
  readonly population: number;
  /** Re-encrypted. */
  readonly moved: number;
  /** By their headers they were under `toVersionId`, or a newer version, already. */
  readonly kept: number;
  readonly failed: number;
  readonly startedAt: string;
  readonly endedAt: string;
  /** Places in the tenant's log: everything that it did stands from the one to the other. */
  readonly firstRecord: number;
  readonly lastRecord: number;
}
