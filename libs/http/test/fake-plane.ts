import { Body, Controller, Delete, Get, Param, Post, Put, Query, type Type } from '@nestjs/common';
import type { AddressInfo } from 'node:net';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  decryptBatchRequest,
  type DecryptBatchRequest,
  decryptRequest,
  type DecryptRequest,
  encryptRequest,
  type EncryptBatchRequest,
  encryptBatchRequest,
  type EncryptRequest,
  generateDataKeyRequest,
  type GenerateDataKeyBatchRequest,
  generateDataKeyBatchRequest,
  type GenerateDataKeyRequest,
  keyPath,
  MAX_BATCH_BYTES,
  type OperationName,
  PLATFORM,
  type PageQuery,
  pageQuery,
  type PolicyDocument,
  policyDocument,
  type Role,
  stopPath,
  type TenantId,
} from '#contract';
import {
  type Answered,
  type AnsweredBatch,
  type BatchItem,
  type Call,
  type ItemOutcome,
  KeywardError,
  Pipeline,
  type Principal,
  type Wipeable,
} from '#core';
import { Calling, createPlane, itemsOf, noCredentials, Operation, type PlaneParts, Replaces } from '../index.js';

const principal = (role: Role, name: string): Principal => ({
  role,
  name,
  tenant: role === 'service' ? PLATFORM : ('acme' as TenantId),
  authMethod: 'api-key',
  credentialId: `crd_${name}` as Principal['credentialId'],
  expiresAt: new Date(Date.now() + 3_600_000),
  epoch: 'e1',
});

const key = (name: string) => `kw_acme_crd_0${name.padEnd(25, '0')}_${'S'.repeat(43)}`;
/** API keys that the fake knows. `fresh` is never in the cache, so it alone must be well-formed. */
export const KEYS = { admin: key('admin'), service: key('service'), fresh: key('fresh') };

/** Credentials without a database; counts look-ups. */
export class FakeCredentials {
  lookUps = 0;
  failWith: Error | undefined;
  readonly #known = new Map([
    [KEYS.admin, principal('admin', 'alice')],
    [KEYS.service, principal('service', 'billing')],
  ]);

  cached(apiKey: string): Principal | undefined {
    return this.#known.get(apiKey);
  }

  async authenticate(apiKey: string): Promise<Principal> {
    this.lookUps++;
    if (this.failWith !== undefined) throw this.failWith;
    if (apiKey !== KEYS.fresh) throw new KeywardError('unauthenticated', '', { reason: 'unknown' });
    return principal('admin', 'fresh');
  }

  // Tokens are tested over core's own credentials.
  readonly serviceKey = noCredentials.serviceKey;
  readonly identityProvider = noCredentials.identityProvider;
  readonly ofService = noCredentials.ofService;
  readonly ofSubject = noCredentials.ofSubject;
}

type AnyAnswer = Answered<OperationName>;

/** Stands where the pipeline stands: notes what arrives, answers what it is told. */
export class FakePipeline {
  readonly ran: { operation: OperationName; call: Call; input: unknown }[] = [];
  readonly refused: { operation: OperationName; call: Call; error: KeywardError }[] = [];
  answer: (operation: OperationName, input: unknown) => Promise<AnyAnswer> = () =>
    Promise.resolve({ answer: { items: [] }, seq: 41n, secret: undefined });

  async run(operation: OperationName, call: Call, input: unknown): Promise<AnyAnswer> {
    this.ran.push({ operation, call, input });
    return await this.answer(operation, input);
  }

  /** Each item as a call of its own; what could not be read fails alone. */
  async runBatch(operation: OperationName, call: Call, items: readonly BatchItem<OperationName>[]): Promise<AnsweredBatch<OperationName>> {
    const secrets: Wipeable[] = [];
    const outcomes = items.map(async (item): Promise<ItemOutcome<OperationName>> => {
      if ('error' in item) return item;
      try {
        const { answer, seq, secret } = await this.run(operation, call, item.input);
        if (secret !== undefined) secrets.push(secret);
        return { answer, record: seq! };
      } catch (error) {
        return { error: error as KeywardError };
      }
    });
    return { items: await Promise.all(outcomes), secret: { fill: () => secrets.forEach((secret) => secret.fill(0)) } };
  }

  async refuse(operation: OperationName, call: Call, error: KeywardError): Promise<never> {
    this.refused.push({ operation, call, error });
    error.record = 42n;
    throw error;
  }
}

@Controller('v1/tenants/:tenant')
class TestController {
  constructor(private readonly pipeline: Pipeline<OperationName>) {}

  @Post('encrypt')
  @Operation('Encrypt')
  encrypt(@Calling() call: Call, @Body({ schema: encryptRequest }) body: EncryptRequest) {
    return this.pipeline.run('Encrypt', call, body);
  }

  @Post('encrypt/batch')
  @Operation('Encrypt', { batch: true, bodyLimit: MAX_BATCH_BYTES })
  encryptBatch(@Calling() call: Call, @Body({ schema: encryptBatchRequest }) body: EncryptBatchRequest) {
    return this.pipeline.runBatch('Encrypt', call, itemsOf(body));
  }

  @Post('decrypt')
  @Operation('Decrypt')
  decrypt(@Calling() call: Call, @Body({ schema: decryptRequest }) body: DecryptRequest) {
    return this.pipeline.run('Decrypt', call, body);
  }

  @Post('decrypt/batch')
  @Operation('Decrypt', { batch: true, bodyLimit: MAX_BATCH_BYTES })
  decryptBatch(@Calling() call: Call, @Body({ schema: decryptBatchRequest }) body: DecryptBatchRequest) {
    return this.pipeline.runBatch('Decrypt', call, itemsOf(body));
  }

  @Post('data-keys')
  @Operation('GenerateDataKey')
  generate(@Calling() call: Call, @Body({ schema: generateDataKeyRequest }) body: GenerateDataKeyRequest) {
    return this.pipeline.run('GenerateDataKey', call, body);
  }

  @Post('data-keys/batch')
  @Operation('GenerateDataKey', { batch: true, bodyLimit: MAX_BATCH_BYTES })
  generateBatch(@Calling() call: Call, @Body({ schema: generateDataKeyBatchRequest }) body: GenerateDataKeyBatchRequest) {
    return this.pipeline.runBatch('GenerateDataKey', call, itemsOf(body));
  }

  @Get('keys')
  @Operation('ListKeys')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListKeys', call, query);
  }

  @Get('keys/:key')
  @Operation('DescribeKey')
  describe(@Calling() call: Call, @Param({ schema: keyPath }) path: { key: never }) {
    return this.pipeline.run('DescribeKey', call, { keyId: path.key });
  }

  @Put('policy')
  @Operation('PutPolicy', { bodyLimit: 128 * 1024 })
  put(@Calling() call: Call, @Replaces() replaces: number, @Body({ schema: policyDocument }) document: PolicyDocument) {
    return this.pipeline.run('PutPolicy', call, { document, replaces });
  }

  @Delete('stops/:stop')
  @Operation('Lift')
  lift(@Calling() call: Call, @Param({ schema: stopPath }) path: { stop: never }) {
    return this.pipeline.run('Lift', call, { stopId: path.stop });
  }

  @Get('bundle')
  @Operation('GetBundle')
  bundle(@Calling() call: Call) {
    return this.pipeline.run('GetBundle', call, undefined);
  }
}

/** A whole plane over fakes: the real edge, the real Nest, the real Fastify. */
export class FakePlane {
  private constructor(
    readonly app: NestFastifyApplication,
    readonly pipeline: FakePipeline,
    readonly credentials: FakeCredentials,
    readonly lines: string[],
  ) {}

  static async start(options: Partial<PlaneParts> & { controllers?: readonly Type[] } = {}): Promise<FakePlane> {
    const pipeline = new FakePipeline();
    const credentials = new FakeCredentials();
    const lines: string[] = [];
    const write = (fields: object, message: string) => void lines.push(JSON.stringify({ ...fields, message }));
    const health = { readiness: () => Promise.resolve({ status: 'not-ready' as const, reasons: ['database'] }) };
    const app = await createPlane({
      title: 'test',
      controllers: [TestController],
      pipeline,
      // The data routes run as they do in the data plane; all others through Nest.
      uses: pipeline as unknown as NonNullable<PlaneParts['uses']>,
      credentials,
      health,
      log: { warn: write, error: write },
      ...options,
    });
    await app.init();
    await app.getHttpAdapter().getInstance().ready();
    return new FakePlane(app, pipeline, credentials, lines);
  }

  get fastify() {
    return this.app.getHttpAdapter().getInstance();
  }

  /** Listens on a free port. */
  async listen(): Promise<number> {
    await this.app.listen(0, '127.0.0.1');
    const address: AddressInfo | string | null = this.app.getHttpServer().address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return address.port;
  }

  /** One request without a network. `as` names one of KEYS. */
  async ask(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'OPTIONS',
    url: string,
    body?: string | object,
    { as, headers = {} }: { as?: keyof typeof KEYS; headers?: Record<string, string> } = {},
  ) {
    const authorization = as === undefined ? {} : { authorization: `Bearer ${KEYS[as]}` };
    const type = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
    return await this.fastify.inject({
      method,
      url,
      headers: { ...type, ...authorization, ...headers },
      ...(body !== undefined && { payload: body }),
    });
  }

  async stop(): Promise<void> {
    await this.app.close();
  }
}
