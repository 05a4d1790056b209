import { AwsV4Signer } from 'aws4fetch';
import { createHash } from 'node:crypto';
import type { Egress, EgressAnswer } from '#http';
import { DeliveryFailed, type Destination } from './sender.js';

const TIME_LIMIT_MS = 7000;

/** An S3-compatible bucket, addressed by path, its requests signed by Signature Version 4. */
export class BucketStore {
  constructor(
    private readonly egress: Pick<Egress, 'exchange'>,
    private readonly to: Destination<'s3'>,
  ) {}

  /**
   * Writes what never changes. What is there already must be the same: a bucket never forgets a history.
   * @throws DeliveryFailed, EgressError
   */
  async putOnce(key: string, body: Uint8Array): Promise<void> {
    const { status } = await this.#ask('PUT', key, body, { 'if-none-match': '*' });
    if (status === 412) {
      const there = await this.#ask('GET', key);
      if (there.status !== 200) throw new DeliveryFailed(`${key}: status ${there.status} when read`);
      if (!there.body.equals(body)) throw new DeliveryFailed(`${key} is in the bucket already, and differs from this log`);
      return;
    }
    mustBeWritten(key, status);
  }

  /** @throws DeliveryFailed, EgressError */
  async put(key: string, body: Uint8Array): Promise<void> {
    mustBeWritten(key, (await this.#ask('PUT', key, body)).status);
  }

  /** Whether the store refuses to replace what must not be replaced. @throws EgressError */
  async refusesToReplace(key: string, body: Uint8Array): Promise<boolean> {
    return (await this.#ask('PUT', key, body, { 'if-none-match': '*' })).status === 412;
  }

  async #ask(method: 'GET' | 'PUT', key: string, body?: Uint8Array, conditions: Record<string, string> = {}): Promise<EgressAnswer> {
    const { target, plain } = this.to;
    if (plain === undefined) throw new Error('A bucket without its access key.');
    const digest = createHash('sha256').update(body ?? '');
    const signer = new AwsV4Signer({
      method,
      url: `${target.endpoint.replace(/\/+$/, '')}/${target.bucket}/${key}`,
      headers: {
        ...conditions,
        ...(body && { 'content-type': 'application/octet-stream', 'content-length': String(body.length) }),
        'x-amz-content-sha256': digest.copy().digest('hex'),
        // Buckets with Object Lock ask for a checksum.
        ...(body && { 'x-amz-checksum-sha256': digest.digest('base64') }),
      },
      ...{ accessKeyId: target.accessKeyId, secretAccessKey: Buffer.from(plain).toString('utf8') },
      ...{ service: 's3', region: target.region },
    });
    const { url, headers } = await signer.sign();
    return await this.egress.exchange(url.toString(), {
      method,
      headers: Object.fromEntries(headers),
      ...(body && { body }),
      certificateAuthority: target.certificateAuthority,
      timeLimitMs: TIME_LIMIT_MS,
    });
  }
}

function mustBeWritten(key: string, status: number): void {
  if (status !== 200 && status !== 201) throw new DeliveryFailed(`${key}: status ${status}`);
}
