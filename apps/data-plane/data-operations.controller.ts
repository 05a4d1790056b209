import { Body, Controller, Post } from '@nestjs/common';
import {
  type DataOperation,
  type DecryptRequest,
  decryptRequest,
  type EncryptRequest,
  encryptRequest,
  type GenerateDataKeyRequest,
  generateDataKeyRequest,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** What the ISV's services do with keys that were granted to them. */
@Controller('v1/tenants/:tenant')
export class DataOperationsController {
  constructor(private readonly pipeline: Pipeline<DataOperation>) {}

  @Post('encrypt')
  @Operation('Encrypt')
  encrypt(@Calling() call: Call, @Body({ schema: encryptRequest }) body: EncryptRequest) {
    return this.pipeline.run('Encrypt', call, body);
  }

  @Post('decrypt')
  @Operation('Decrypt')
  decrypt(@Calling() call: Call, @Body({ schema: decryptRequest }) body: DecryptRequest) {
    return this.pipeline.run('Decrypt', call, body);
  }

  @Post('data-keys')
  @Operation('GenerateDataKey')
  generate(@Calling() call: Call, @Body({ schema: generateDataKeyRequest }) body: GenerateDataKeyRequest) {
    return this.pipeline.run('GenerateDataKey', call, body);
  }

  @Post('data-keys/without-plaintext')
  @Operation('GenerateDataKeyWithoutPlaintext')
  generateWithoutPlaintext(@Calling() call: Call, @Body({ schema: generateDataKeyRequest }) body: GenerateDataKeyRequest) {
    return this.pipeline.run('GenerateDataKeyWithoutPlaintext', call, body);
  }
}
