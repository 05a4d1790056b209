import { Controller, Get, Query } from '@nestjs/common';
import { type AuditOperation, type ListRecordsQuery, listRecordsQuery } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** A tenant's log, for its auditors: only reads. */
@Controller('v1/tenants/:tenant')
export class AuditController {
  constructor(private readonly pipeline: Pipeline<AuditOperation>) {}

  @Get('records')
  @Operation('ListRecords')
  records(@Calling() call: Call, @Query({ schema: listRecordsQuery }) query: ListRecordsQuery) {
    return this.pipeline.run('ListRecords', call, query);
  }

  @Get('checkpoint')
  @Operation('GetCheckpoint')
  checkpoint(@Calling() call: Call) {
    return this.pipeline.run('GetCheckpoint', call, undefined);
  }

  @Get('bundle')
  @Operation('GetBundle')
  bundle(@Calling() call: Call) {
    return this.pipeline.run('GetBundle', call, undefined);
  }
}
