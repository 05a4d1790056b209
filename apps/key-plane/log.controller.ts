import { Body, Controller, Post } from '@nestjs/common';
import { type KeyOperation, type RotateLogKeyRequest, rotateLogKeyRequest } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** What a tenant's admins decide about its own log. */
@Controller('v1/tenants/:tenant/log')
export class LogController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Post('keys')
  @Operation('RotateLogKey')
  rotate(@Calling() call: Call, @Body({ schema: rotateLogKeyRequest }) body: RotateLogKeyRequest) {
    return this.pipeline.run('RotateLogKey', call, body);
  }
}
