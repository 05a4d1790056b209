import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import type {
  CreateSinkRequest,
  RecordBody,
  SinkAnswer,
  SinkId,
  SinkTarget,
  SinkTargetRequest,
  TenantId,
  UpdateSinkRequest,
} from '#contract';
import { InvalidRequest, KeywardError } from '../errors.js';
import { newSinkId } from '../identifiers.js';
import type { Handlers } from '../pipeline.js';
import type { Deliverable, SinkReads, SinkSealing } from '../ports/sinks.js';

/** The worker's turns are shared by all tenants. */

type SinkOperation = 'CreateSink' | 'ListSinks' | 'DescribeSink' | 'UpdateSink' | 'DeleteSink' | 'TestSink';
type Change = NonNullable<RecordBody['change']>;

export interface SinkParts {
  readonly reads: SinkReads;
  readonly sealing: SinkSealing;
}

/** Where a tenant's records go besides its log. What the platform proves itself by at a sink is sealed here, for the worker alone. */
export function sinkHandlers({ reads, sealing }: SinkParts): Handlers<SinkOperation> {
  const described = async (tenant: TenantId, id: SinkId): Promise<SinkAnswer> => {
    const sink = await reads.sink(tenant, id);
    if (sink === undefined) throw new KeywardError('not-found', 'There is no such sink.');
    return sink;
  };
  const sealed = async (tenant: TenantId, id: SinkId, plain: Uint8Array | undefined): Promise<string | undefined> => {
    if (plain === undefined) return undefined;
    try {
      return await sealing.seal(tenant, id, plain);
    } finally {
      plain.fill(0);
    }
  };
  return {
    CreateSink: async ({ input, call: { tenant }, principal, now }) => {
      mustBeReadable(input.target);
      const signing = input.target.type === 'webhook' ? webhookKey() : undefined;
      const log = await reads.deliverable(tenant);
      const sink = newSink(input, { log, by: principal.name, now, publicKey: signing?.publicKey });
      const box = await sealed(tenant, sink.sinkId, signing?.privateKey ?? confidential(input.target));
      return {
        answer: sink,
        details: { change: { sinkId: sink.sinkId, nextSeq: sink.delivery.nextSeq, ...told(sink.target) } },
        apply: (writes) => writes.insertSink(sink, box),
      };
    },

    ListSinks: async ({ input, call }) => ({ answer: await reads.sinks(call.tenant, input), details: {} }),

    DescribeSink: async ({ input, call }) => ({ answer: await described(call.tenant, input.sinkId), details: {} }),

    UpdateSink: async ({ input: { sinkId, target: wanted, ...change }, call: { tenant } }) => {
      const before = await described(tenant, sinkId);
      await mustFit(before, wanted, change, () => reads.deliverable(tenant));
      const target = wanted && shown(wanted);
      const box = wanted && (await sealed(tenant, sinkId, confidential(wanted)));
      return {
        answer: before,
        details: { change: { sinkId, ...defined({ state: change.state, nextSeq: change.nextSeq }), ...(target && told(target)) } },
        // A webhook keeps its key, which its receiver knows.
        apply: (writes) =>
          writes.updateSink(sinkId, { ...change, target, ...(wanted && wanted.type !== 'webhook' && { sealed: box ?? null }) }),
        completed: () => described(tenant, sinkId),
      };
    },

    DeleteSink: async ({ input: { sinkId } }) => ({
      answer: undefined,
      details: { change: { sinkId } },
      apply: (writes) => writes.deleteSink(sinkId),
    }),

    TestSink: async ({ input: { sinkId }, call: { tenant }, now }) => {
      const sink = await described(tenant, sinkId);
      const requestedAt = new Date(now);
      return {
        answer: { ...sink, test: { requestedAt: requestedAt.toISOString() } },
        details: { change: { sinkId } },
        apply: (writes) => writes.updateSink(sinkId, { testRequestedAt: requestedAt }),
      };
    },
  };
}

interface Beginning {
  readonly log: Deliverable;
  readonly by: string;
  readonly now: number;
  readonly publicKey: string | undefined;
}

function newSink({ description, target, from }: CreateSinkRequest, { log: { minIndex, size }, by, now, publicKey }: Beginning): SinkAnswer {
  const nextSeq = from === 'now' ? size : beginOf(target.type, minIndex);
  return {
    sinkId: newSinkId(now),
    description,
    target: shown(target),
    ...(publicKey !== undefined && { publicKey }),
    state: 'Active',
    createdBy: by,
    createdAt: new Date(now).toISOString(),
    delivery: { nextSeq, pending: size - nextSeq, failures: 0 },
  };
}

/** A bucket is a log of its own: it has the hashes of what was pruned. */
const beginOf = (type: SinkTargetRequest['type'], minIndex: number): number => (type === 's3' ? 0 : minIndex);

/** Ed25519; the public key as Standard Webhooks writes it, the private one as its seed of 32 bytes. */
function webhookKey(): { publicKey: string; privateKey: Uint8Array } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  return { publicKey: `whpk_${raw.toString('base64')}`, privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32) };
}

async function mustFit(
  before: SinkAnswer,
  target: SinkTargetRequest | undefined,
  { nextSeq }: Pick<UpdateSinkRequest, 'nextSeq'>,
  deliverable: () => Promise<Deliverable>,
): Promise<void> {
  if (target !== undefined && target.type !== before.target.type)
    throw new InvalidRequest([{ field: 'target.type', message: `must be ${before.target.type}; for another, make another sink` }]);
  if (target !== undefined) mustBeReadable(target);
  if (nextSeq === undefined) return;
  if (before.target.type === 's3' && nextSeq > before.delivery.nextSeq)
    throw new InvalidRequest([{ field: 'nextSeq', message: 'must not pass over records: a bucket must have all of them' }]);
  const { minIndex, size } = await deliverable();
  if (nextSeq < beginOf(before.target.type, minIndex))
    throw new InvalidRequest([{ field: 'nextSeq', message: `must be at least ${minIndex}: records below it were pruned` }]);
  if (nextSeq > size) throw new InvalidRequest([{ field: 'nextSeq', message: `must be at most ${size}, the size of the signed log` }]);
}

/** A typing error is told now, not by failing deliveries. @throws InvalidRequest naming the field */
function mustBeReadable(target: SinkTargetRequest): void {
  const { certificateAuthority, clientCertificate, clientKey } = { clientCertificate: undefined, clientKey: undefined, ...target };
  const reads = [
    ['certificateAuthority', certificateAuthority, isCertificate, 'cannot be read as PEM'],
    ['clientCertificate', clientCertificate, isCertificate, 'cannot be read as PEM'],
    ['clientKey', clientKey, isClientKey, 'must be PEM of an EC or Ed25519 key, or of an RSA key of at most 4096 bits'],
  ] as const;
  for (const [field, text, fits, message] of reads) {
    if (text !== undefined && !fits(text)) throw new InvalidRequest([{ field: `target.${field}`, message }]);
  }
}

function isCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).raw.length > 0;
  } catch {
    return false;
  }
}

/** The worker signs with it at each connection, and does nothing else meanwhile: a larger RSA key takes a fifth of a second. */
function isClientKey(text: string): boolean {
  try {
    const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(text);
    if (asymmetricKeyType === 'rsa') return asymmetricKeyDetails?.modulusLength !== undefined && asymmetricKeyDetails.modulusLength <= 4096;
    return asymmetricKeyType === 'ed25519' || (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve !== undefined);
  } catch {
    return false;
  }
}

/** Without what nobody is shown. */
function shown(target: SinkTargetRequest): SinkTarget {
  switch (target.type) {
    case 'webhook':
      return target;
    case 'syslog': {
      const { clientKey: _, ...rest } = target;
      return rest;
    }
    case 's3': {
      const { secretAccessKey: _, ...rest } = target;
      return rest;
    }
  }
}

function confidential(target: SinkTargetRequest): Uint8Array | undefined {
  switch (target.type) {
    case 'webhook':
      return undefined;
    case 'syslog':
      return target.clientKey === undefined ? undefined : Buffer.from(target.clientKey);
    case 's3':
      return Buffer.from(target.secretAccessKey);
  }
}

/** What the record says of a target: where, not how. A query may be what a receiver knows its callers by. */
function told(target: SinkTarget): Change {
  switch (target.type) {
    case 'webhook':
      return { type: target.type, url: target.url.replace(/[?#].*$/s, ''), format: target.format };
    case 'syslog':
      return { type: target.type, host: target.host, port: target.port, format: target.format };
    case 's3':
      return { type: target.type, endpoint: target.endpoint, bucket: target.bucket };
  }
}

const defined = (fields: Readonly<Record<string, Change[string] | undefined>>): Change =>
  Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, Change[string]] => entry[1] !== undefined));
