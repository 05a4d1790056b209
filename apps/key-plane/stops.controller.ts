import { Body, Controller, Delete, Get, Param, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import { type KeyOperation, type PageQuery, pageQuery, stopPath, type StopRequest, stopRequest } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

type StopPath = z.infer<typeof stopPath>;

/** What silences services at once, whatever the policy says. */
@Controller('v1/tenants/:tenant/stops')
export class StopsController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Post()
  @Operation('Stop')
  stop(@Calling() call: Call, @Body({ schema: stopRequest }) body: StopRequest) {
    return this.pipeline.run('Stop', call, body);
  }

  @Get()
  @Operation('ListStops')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListStops', call, query);
  }

  @Get(':stop')
  @Operation('GetStop')
  get(@Calling() call: Call, @Param({ schema: stopPath }) { stop }: StopPath) {
    return this.pipeline.run('GetStop', call, { stopId: stop });
  }

  @Delete(':stop')
  @Operation('Lift')
  lift(@Calling() call: Call, @Param({ schema: stopPath }) { stop }: StopPath) {
    return this.pipeline.run('Lift', call, { stopId: stop });
  }
}
