import { Body, Controller, Post } from '@nestjs/common';
import { type ErasePersonalFieldsRequest, erasePersonalFieldsRequest, type KeyOperation } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** What a tenant's log knows of persons. */
@Controller('v1/tenants/:tenant/privacy')
export class PrivacyController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Post('erasures')
  @Operation('ErasePersonalFields')
  erase(@Calling() call: Call, @Body({ schema: erasePersonalFieldsRequest }) body: ErasePersonalFieldsRequest) {
    return this.pipeline.run('ErasePersonalFields', call, body);
  }
}
