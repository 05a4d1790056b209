import type { ReEncryptRequest } from '#contract';
import type { Call } from './call.js';
import type { Answered, Pipeline } from './pipeline.js';

/**
 * From one key to another of the same tenant: two operations, each decided, permitted, fenced and recorded by itself, under one request
 * id. The source's record is durable before the destination sees a byte; the plaintext lives between the two, and is wiped here.
 * @throws KeywardError of the first of the two that refuses; its record is that of the refusal
 */
export async function reEncrypt(
  pipeline: Pick<Pipeline<'ReEncryptFrom' | 'ReEncryptTo'>, 'run'>,
  call: Call,
  request: ReEncryptRequest,
): Promise<Answered<'ReEncryptTo'>> {
  const { ciphertext, dryRun, justification } = request;
  const from = await pipeline.run('ReEncryptFrom', call, {
    ...{ ciphertext, dryRun, justification },
    keyId: request.sourceKeyId,
    encryptionContext: request.sourceEncryptionContext,
  });
  try {
    return await pipeline.run('ReEncryptTo', call, {
      ...{ dryRun, justification },
      keyId: request.destinationKeyId,
      encryptionContext: request.destinationEncryptionContext,
      opened: 'dryRun' in from.answer ? undefined : from.answer,
    });
  } finally {
    from.secret?.fill(0);
  }
}
