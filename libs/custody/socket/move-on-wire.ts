import { z } from 'zod';
import { keyId, keyVersionId, longOperationId, serviceName } from '#contract';
import type { MoveClaim } from '../move-order.js';
import { messages } from './wire.js';

const claim = z.object({
  rewrap: z.object({
    ...{ operationId: longOperationId, keyId, fromVersionId: keyVersionId, toVersionId: keyVersionId },
    service: serviceName.nullable().transform((name) => name ?? undefined),
    mac: z
      .instanceof(Uint8Array)
      .refine(({ length }) => length === 32)
      .transform((bytes) => Uint8Array.from(bytes)),
  }),
  kind: z.enum(['direct', 'dataKey']),
});

/** The rows of both versions, the context and what is sealed go beside it. */
export function encodeMove({ rewrap, kind }: MoveClaim): Buffer {
  const { operationId, keyId: id, fromVersionId, toVersionId, service, mac } = rewrap;
  return Buffer.from(
    messages.pack({ rewrap: { operationId, keyId: id, fromVersionId, toVersionId, service: service ?? null, mac }, kind }),
  );
}

/** Its bytes are the caller's: a frame is wiped. @throws ZodError for anything else */
export const decodeMove = (encoded: Uint8Array): MoveClaim => claim.parse(messages.unpack(encoded));
