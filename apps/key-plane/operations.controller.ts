import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import { type KeyOperation, longOperationPath, noBody, type PageQuery, pageQuery } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

type OperationPath = z.infer<typeof longOperationPath>;

/** Work that goes on after its call was answered. */
@Controller('v1/tenants/:tenant/operations')
export class OperationsController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get()
  @Operation('ListOperations')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListOperations', call, query);
  }

  @Get(':operation')
  @Operation('DescribeOperation')
  describe(@Calling() call: Call, @Param({ schema: longOperationPath }) { operation }: OperationPath) {
    return this.pipeline.run('DescribeOperation', call, { operationId: operation });
  }

  @Get(':operation/events')
  @Operation('WatchOperation')
  watch(@Calling() call: Call, @Param({ schema: longOperationPath }) { operation }: OperationPath) {
    return this.pipeline.run('WatchOperation', call, { operationId: operation });
  }

  @Get(':operation/certificate')
  @Operation('GetCompletionCertificate')
  certificate(@Calling() call: Call, @Param({ schema: longOperationPath }) { operation }: OperationPath) {
    return this.pipeline.run('GetCompletionCertificate', call, { operationId: operation });
  }

  @Post(':operation/cancel')
  @Operation('CancelOperation')
  cancel(
    @Calling() call: Call,
    @Param({ schema: longOperationPath }) { operation }: OperationPath,
    @Body({ schema: noBody }) _body: unknown,
  ) {
    return this.pipeline.run('CancelOperation', call, { operationId: operation });
  }
}
