import { Body, Controller, Get, Post } from '@nestjs/common';
import { type KeyOperation, noBody } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** The root that wraps a tenant's keys. */
@Controller('v1/tenants/:tenant/root')
export class RootController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get()
  @Operation('DescribeRoot')
  describe(@Calling() call: Call) {
    return this.pipeline.run('DescribeRoot', call, undefined);
  }

  @Post('rotate')
  @Operation('RotateRoot')
  rotate(@Calling() call: Call, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('RotateRoot', call, undefined);
  }
}
