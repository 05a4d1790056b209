import { Body, Controller, Post } from '@nestjs/common';
import {
  type DescribeSecretRequest,
  describeSecretRequest,
  type GetSecretValueRequest,
  getSecretValueRequest,
  type GetSecretValuesRequest,
  getSecretValuesRequest,
  type PutSecretValueRequest,
  putSecretValueRequest,
  type RandomPasswordRequest,
  randomPasswordRequest,
  type SecretUse,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { itemsOf } from './batch-items.js';
import { Calling } from './edge-call.js';
import { Operation } from './operation.js';
import { wiped } from './wiped.js';

/** What services do with secrets that were granted to them, at the data plane, and admins with their own, at the key plane. */
@Controller('v1/tenants/:tenant/secrets')
export class SecretUsesController {
  constructor(private readonly pipeline: Pipeline<SecretUse>) {}

  @Post('get-value')
  @Operation('GetSecretValue')
  value(@Calling() call: Call, @Body({ schema: getSecretValueRequest }) body: GetSecretValueRequest) {
    return this.pipeline.run('GetSecretValue', call, body);
  }

  @Post('get-value/batch')
  @Operation('GetSecretValue', { batch: true })
  values(@Calling() call: Call, @Body({ schema: getSecretValuesRequest }) body: GetSecretValuesRequest) {
    return this.pipeline.runBatch('GetSecretValue', call, itemsOf(body));
  }

  @Post('put-value')
  @Operation('PutSecretValue')
  put(@Calling() call: Call, @Body({ schema: putSecretValueRequest }) body: PutSecretValueRequest) {
    return wiped(body.value, () => this.pipeline.run('PutSecretValue', call, body));
  }

  @Post('describe')
  @Operation('DescribeSecret')
  describe(@Calling() call: Call, @Body({ schema: describeSecretRequest }) body: DescribeSecretRequest) {
    return this.pipeline.run('DescribeSecret', call, body);
  }

  @Post('random-password')
  @Operation('GetRandomPassword')
  password(@Calling() call: Call, @Body({ schema: randomPasswordRequest }) body: RandomPasswordRequest) {
    return this.pipeline.run('GetRandomPassword', call, body);
  }
}
