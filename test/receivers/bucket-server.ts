import { SignatureV4 } from '@smithy/signature-v4';
import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { SERVER } from './tls.js';

/** SHA-256, or HMAC-SHA-256 under a key, as the signer asks for it. */
class Sha256 {
  readonly #hash;
  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    const bytes = key === undefined || typeof key === 'string' ? key : Buffer.from(key as Uint8Array);
    this.#hash = bytes === undefined ? createHash('sha256') : createHmac('sha256', bytes);
  }
  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): void {
    throw new Error('not needed');
  }
}

/**
 * What is needed of an S3-compatible store: PUT, also only if nothing is there, and GET, of one bucket. Requests are checked by AWS's own
 * signer, which has never seen ours.
 */
export class BucketServer {
  readonly objects = new Map<string, Buffer>();
  /** In the order in which they were written. */
  readonly writes: string[] = [];
  heedsConditions = true;

  private constructor(
    private readonly server: Server,
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string },
  ) {}

  static async start(credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'a secret/of+the=tests' }): Promise<BucketServer> {
    const bucket = new BucketServer(
      createServer(SERVER, (request, response) => void bucket.#answer(request, response)),
      credentials,
    );
    await new Promise<void>((resolve) => bucket.server.listen(0, '127.0.0.1', resolve));
    return bucket;
  }

  get origin(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    const status = (await this.#isSigned(request, body)) ? this.#done(request, body) : 403;
    const key = request.url?.slice('/trail/'.length) ?? '';
    response.writeHead(status).end(status === 200 && request.method === 'GET' ? this.objects.get(key) : undefined);
  }

  #done({ method, url, headers }: IncomingMessage, body: Buffer): number {
    if (url?.startsWith('/trail/') !== true) return 404;
    const key = url.slice('/trail/'.length);
    if (method === 'GET') return this.objects.has(key) ? 200 : 404;
    if (this.heedsConditions && headers['if-none-match'] === '*' && this.objects.has(key)) return 412;
    this.objects.set(key, body);
    this.writes.push(key);
    return 200;
  }

  async #isSigned({ method = '', url = '', headers }: IncomingMessage, body: Buffer): Promise<boolean> {
    const { authorization = '' } = headers;
    const [, region = '', names = ''] =
      /Credential=[^/]+\/\d+\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+)/.exec(authorization) ?? [];
    if (headers['x-amz-content-sha256'] !== createHash('sha256').update(body).digest('hex')) return false;
    const signer = new SignatureV4({
      service: 's3',
      region,
      credentials: this.credentials,
      sha256: Sha256,
      uriEscapePath: false,
      applyChecksum: false,
    });
    const signedHeaders = Object.fromEntries(names.split(';').map((name) => [name, String(headers[name])]));
    const date = String(headers['x-amz-date']).replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
    const again = await signer.sign(
      { method, protocol: 'https:', hostname: this.origin, path: decodeURIComponent(url), query: {}, headers: signedHeaders },
      { signingDate: new Date(date), signableHeaders: new Set(names.split(';')) },
    );
    return again.headers['authorization'] === authorization;
  }
}
