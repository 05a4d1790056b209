import { Body, Controller, Get, Param, Post } from '@nestjs/common';
import type { z } from 'zod';
import {
  type CollectResultsRequest,
  collectResultsRequest,
  type DataOperation,
  type FinishRewrapRequest,
  finishRewrapRequest,
  longOperationPath,
  MAX_BATCH_BYTES,
  type RewrapPageRequest,
  rewrapPageRequest,
  type ServiceOperation,
  type UploadItemsRequest,
  uploadItemsRequest,
} from '#contract';
import { type Call, finishRewrap, Pipeline, rewrapPage } from '#core';
import { Calling, Operation } from '#http';

type OperationPath = z.infer<typeof longOperationPath>;

/** Re-wrap projects, for the service that carries them out. */
@Controller('v1/tenants/:tenant/rewraps')
export class RewrapsController {
  constructor(private readonly pipeline: Pipeline<DataOperation | ServiceOperation>) {}

  @Get(':operation')
  @Operation('DescribeRewrap')
  describe(@Calling() call: Call, @Param({ schema: longOperationPath }) { operation }: OperationPath) {
    return this.pipeline.run('DescribeRewrap', call, { operationId: operation });
  }

  @Post(':operation/pages')
  @Operation('SettleRewrapPage', { bodyLimit: MAX_BATCH_BYTES })
  page(
    @Calling() call: Call,
    @Param({ schema: longOperationPath }) { operation }: OperationPath,
    @Body({ schema: rewrapPageRequest }) body: RewrapPageRequest,
  ) {
    return rewrapPage(this.pipeline, call, operation, body);
  }

  @Post(':operation/items')
  @Operation('UploadRewrapItems', { bodyLimit: MAX_BATCH_BYTES })
  upload(
    @Calling() call: Call,
    @Param({ schema: longOperationPath }) { operation }: OperationPath,
    @Body({ schema: uploadItemsRequest }) body: UploadItemsRequest,
  ) {
    return this.pipeline.run('UploadRewrapItems', call, { ...body, operationId: operation });
  }

  @Post(':operation/results')
  @Operation('CollectRewrapResults')
  collect(
    @Calling() call: Call,
    @Param({ schema: longOperationPath }) { operation }: OperationPath,
    @Body({ schema: collectResultsRequest }) body: CollectResultsRequest,
  ) {
    return this.pipeline.run('CollectRewrapResults', call, { ...body, operationId: operation });
  }

  @Post(':operation/finish')
  @Operation('FinishRewrap')
  finish(
    @Calling() call: Call,
    @Param({ schema: longOperationPath }) { operation }: OperationPath,
    @Body({ schema: finishRewrapRequest }) body: FinishRewrapRequest,
  ) {
    return finishRewrap(this.pipeline, call, operation, body);
  }
}
