import { Controller, Get } from '@nestjs/common';
import type { ServiceOperation } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** What the ISV's services listen to. */
@Controller('v1/tenants/:tenant')
export class EventsController {
  constructor(private readonly pipeline: Pipeline<ServiceOperation>) {}

  @Get('events')
  @Operation('WatchRules')
  watch(@Calling() call: Call) {
    return this.pipeline.run('WatchRules', call, undefined);
  }
}
