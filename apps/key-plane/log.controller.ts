import { Body, Controller, Post, Put } from '@nestjs/common';
import {
  type KeyOperation,
  type PruneRequest,
  pruneRequest,
  type RetentionRequest,
  retentionRequest,
  type RotateLogKeyRequest,
  rotateLogKeyRequest,
} from '#contract';
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

  @Put('retention')
  @Operation('SetRetention')
  retain(@Calling() call: Call, @Body({ schema: retentionRequest }) body: RetentionRequest) {
    return this.pipeline.run('SetRetention', call, body);
  }

  @Post('prune')
  @Operation('PruneRecords')
  prune(@Calling() call: Call, @Body({ schema: pruneRequest }) body: PruneRequest) {
    return this.pipeline.run('PruneRecords', call, body);
  }
}
