import { Controller, Get } from '@nestjs/common';
import type { KeyOperation } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** What the platform does by the clock. */
@Controller('v1/tenants/:tenant/jobs')
export class JobsController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get()
  @Operation('ListJobs')
  list(@Calling() call: Call) {
    return this.pipeline.run('ListJobs', call, undefined);
  }
}
