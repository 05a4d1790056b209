import { Controller, Get, Query } from '@nestjs/common';
import { type KeyOperation, type PageQuery, pageQuery } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** What will happen to a tenant's keys and credentials by the clock. */
@Controller('v1/tenants/:tenant/calendar')
export class CalendarController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get()
  @Operation('ListCalendar')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListCalendar', call, query);
  }
}
