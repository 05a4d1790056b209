import { Controller, Get, Param, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type AuditOperation,
  type ConsistencyQuery,
  consistencyQuery,
  type ListCheckpointsQuery,
  listCheckpointsQuery,
  type ListRecordsQuery,
  listRecordsQuery,
  recordPath,
  tilePath,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** A tenant's log, for its auditors: only reads. `checkpoint` and `tile/…` are what C2SP tlog-tiles calls a log, under this prefix. */
@Controller('v1/tenants/:tenant')
export class AuditController {
  constructor(private readonly pipeline: Pipeline<AuditOperation>) {}

  @Get('records')
  @Operation('ListRecords')
  records(@Calling() call: Call, @Query({ schema: listRecordsQuery }) query: ListRecordsQuery) {
    return this.pipeline.run('ListRecords', call, query);
  }

  @Get('records/:seq/proof')
  @Operation('GetRecordProof')
  proof(@Calling() call: Call, @Param({ schema: recordPath }) path: z.infer<typeof recordPath>) {
    return this.pipeline.run('GetRecordProof', call, path);
  }

  @Get('consistency')
  @Operation('GetConsistencyProof')
  consistency(@Calling() call: Call, @Query({ schema: consistencyQuery }) query: ConsistencyQuery) {
    return this.pipeline.run('GetConsistencyProof', call, query);
  }

  @Get('log')
  @Operation('GetLog')
  log(@Calling() call: Call) {
    return this.pipeline.run('GetLog', call, undefined);
  }

  @Get('checkpoint')
  @Operation('GetCheckpoint')
  checkpoint(@Calling() call: Call) {
    return this.pipeline.run('GetCheckpoint', call, undefined);
  }

  @Get('checkpoints')
  @Operation('ListCheckpoints')
  checkpoints(@Calling() call: Call, @Query({ schema: listCheckpointsQuery }) query: ListCheckpointsQuery) {
    return this.pipeline.run('ListCheckpoints', call, query);
  }

  @Get('tile/*')
  @Operation('GetTile')
  tile(@Calling() call: Call, @Param({ schema: tilePath }) { '*': tile }: z.infer<typeof tilePath>) {
    return this.pipeline.run('GetTile', call, tile);
  }

  @Get('bundle')
  @Operation('GetBundle')
  bundle(@Calling() call: Call) {
    return this.pipeline.run('GetBundle', call, undefined);
  }
}
