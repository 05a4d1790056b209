import { Body, Controller, Delete, Get, Param, Patch, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type CreateSinkRequest,
  createSinkRequest,
  type KeyOperation,
  type PageQuery,
  pageQuery,
  sinkPath,
  type UpdateSinkRequest,
  updateSinkRequest,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

type SinkPath = z.infer<typeof sinkPath>;

/** Where a tenant's records go besides its log. */
@Controller('v1/tenants/:tenant/sinks')
export class SinksController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Post()
  @Operation('CreateSink')
  create(@Calling() call: Call, @Body({ schema: createSinkRequest }) body: CreateSinkRequest) {
    return this.pipeline.run('CreateSink', call, body);
  }

  @Get()
  @Operation('ListSinks')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListSinks', call, query);
  }

  @Get(':sink')
  @Operation('DescribeSink')
  describe(@Calling() call: Call, @Param({ schema: sinkPath }) { sink }: SinkPath) {
    return this.pipeline.run('DescribeSink', call, { sinkId: sink });
  }

  @Patch(':sink')
  @Operation('UpdateSink')
  update(
    @Calling() call: Call,
    @Param({ schema: sinkPath }) { sink }: SinkPath,
    @Body({ schema: updateSinkRequest }) body: UpdateSinkRequest,
  ) {
    return this.pipeline.run('UpdateSink', call, { ...body, sinkId: sink });
  }

  @Delete(':sink')
  @Operation('DeleteSink')
  delete(@Calling() call: Call, @Param({ schema: sinkPath }) { sink }: SinkPath) {
    return this.pipeline.run('DeleteSink', call, { sinkId: sink });
  }

  @Post(':sink/test')
  @Operation('TestSink')
  test(@Calling() call: Call, @Param({ schema: sinkPath }) { sink }: SinkPath) {
    return this.pipeline.run('TestSink', call, { sinkId: sink });
  }
}
