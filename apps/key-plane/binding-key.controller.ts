import { Body, Controller, Get, Post } from '@nestjs/common';
import { type KeyOperation, noBody } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** The key of the HSM that binds every row which gives authority: the platform's. */
@Controller('v1/binding-key')
export class BindingKeyController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get()
  @Operation('DescribeBindingKey')
  describe(@Calling() call: Call) {
    return this.pipeline.run('DescribeBindingKey', call, undefined);
  }

  @Post('rotate')
  @Operation('RotateBindingKey')
  rotate(@Calling() call: Call, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('RotateBindingKey', call, undefined);
  }

  @Post('retire')
  @Operation('RetireBindingKey')
  retire(@Calling() call: Call, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('RetireBindingKey', call, undefined);
  }
}
