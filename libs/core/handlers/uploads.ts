import type { RewrapAnswer, TenantId, UploadedItem } from '#contract';
import { isOver } from '#contract';
import { refusalOfMoves } from '../decide-moves.js';
import { KeywardError, Refused } from '../errors.js';
import type { Handlers, Step } from '../pipeline.js';
import type { RewrapName, Rewraps } from '../ports/rewraps.js';
import { UNCHECKED } from '../snapshot.js';

export type UploadOperation = 'UploadRewrapItems' | 'CollectRewrapResults';

/** Uploaded and not acknowledged yet: items of one project, and what all open ones of a tenant hold of the database. */
const MOST_HELD = 50_000;
const MOST_BYTES = 268_435_456;
const FULL_FOR_SECONDS = 5;

/**
 * What a service hands over and takes back. It uses no key: what does is the worker, and decided there, item by item (core/move-items.ts).
 * What forbids whatever the items are is refused here too, so that a stop leaves nothing of a project going.
 */
export function uploadHandlers(
  rewraps: Pick<Rewraps, 'upload' | 'collect' | 'uploadedBytes'>,
  own: (step: Step<UploadOperation>) => Promise<RewrapAnswer>,
): Handlers<UploadOperation> {
  const ofUpload = async (step: Step<UploadOperation>) => {
    const rewrap = await own(step);
    mustBeBy('upload', rewrap);
    return { rewrap, refused: await refusedUpload(step, rewrap) };
  };
  /** Looked for again in the transaction that stores them. @throws KeywardError */
  const mustFit = async (tenant: TenantId, { progress: { uploaded = 0, done, failed } }: RewrapAnswer, items: readonly UploadedItem[]) => {
    if (uploaded - done - failed + items.length > MOST_HELD) throw full(`of one project may be ${MOST_HELD} at most`);
    if ((await rewraps.uploadedBytes(tenant)) + bytesOf(items) > MOST_BYTES)
      throw full(`of all projects of the tenant may have ${MOST_BYTES} bytes at most, with their contexts and results`);
  };
  return {
    UploadRewrapItems: async (step) => {
      const { operationId, items } = step.input;
      const { rewrap, refused } = await ofUpload(step);
      mustBeOpen(rewrap);
      const details = { change: { operationId, items: items.length } };
      if (refused !== undefined) return { error: refused, details };
      await mustFit(step.call.tenant, rewrap, items);
      const notStored = { items: items.map(() => 'not-stored' as const) };
      return { answer: notStored, details, completed: () => rewraps.upload(named(step), step.input) };
    },

    /** What became of items is shown once this is recorded, and counted only then. */
    CollectRewrapResults: async (step) => {
      const { operationId, acknowledge } = step.input;
      const { refused } = await ofUpload(step);
      const details = { change: { operationId, ...(acknowledge !== undefined && { acknowledged: acknowledge }) } };
      if (refused !== undefined) return { error: refused, details };
      const answer = await rewraps.collect(named(step), step.input, false);
      return { answer, details, completed: () => rewraps.collect(named(step), step.input, true) };
    },
  };
}

const bytesOf = (items: readonly UploadedItem[]): number =>
  items.reduce((bytes, item) => bytes + item.ciphertext.length + Buffer.byteLength(JSON.stringify(item.encryptionContext ?? {})), 0);

const full = (most: string) =>
  new KeywardError('too-many-requests', 'Acknowledge results first.', {
    ...{ reason: 'too-much-uploaded', retryAfterSeconds: FULL_FOR_SECONDS },
    fields: [{ field: 'items', message: `that are not acknowledged ${most}` }],
  });

export const named = ({
  call,
  principal,
  input,
}: Step<UploadOperation | 'DescribeRewrap' | 'RewrapPage' | 'SettleRewrapPage' | 'FinishRewrap'>): RewrapName => ({
  tenant: call.tenant,
  operationId: input.operationId,
  service: principal.name,
});

/** Why the tenant's rules, the ISV's, or the key's state let nothing of a project by upload go on. */
export async function refusedUpload(
  { snapshot }: Pick<Step<UploadOperation>, 'snapshot'>,
  rewrap: Pick<RewrapAnswer, 'keyId' | 'service'>,
): Promise<KeywardError | undefined> {
  const key = await snapshot.key({ reference: rewrap.keyId });
  if (key === undefined) return new Refused('not-granted', '', { reason: 'unknown-key' });
  if (key.unproven === true) throw new KeywardError('unavailable', '', { reason: UNCHECKED });
  const refusal = refusalOfMoves(snapshot.rules, key, rewrap);
  return refusal && new Refused(refusal.code, '', refusal);
}

/** @throws KeywardError */
export function mustBeBy(mode: RewrapAnswer['mode'], rewrap: Pick<RewrapAnswer, 'mode'>): void {
  if (rewrap.mode !== mode)
    throw new KeywardError('state-unchangeable', `It goes by ${rewrap.mode}.`, { reason: `rewrap-by-${rewrap.mode}` });
}

/** @throws KeywardError */
export function mustBeOpen(rewrap: Pick<RewrapAnswer, 'state'>): void {
  if (isOver(rewrap.state)) throw rewrapEnded(rewrap);
}

export const rewrapEnded = ({ state }: Pick<RewrapAnswer, 'state'>): KeywardError =>
  new KeywardError('state-unchangeable', `It is ${state}.`, { reason: 'rewrap-ended' });
