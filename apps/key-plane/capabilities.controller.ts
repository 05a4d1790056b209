import { Controller, Get } from '@nestjs/common';
import type { KeyOperation } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** What keys a tenant can have here. */
@Controller('v1/tenants/:tenant/capabilities')
export class CapabilitiesController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get()
  @Operation('DescribeCapabilities')
  describe(@Calling() call: Call) {
    return this.pipeline.run('DescribeCapabilities', call, undefined);
  }
}
