import { Controller, Get, Param, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type AuditOperation,
  type CoverageQuery,
  coverageQuery,
  type InventoryQuery,
  inventoryQuery,
  keyPath,
  type LeasesQuery,
  leasesQuery,
  type PolicyHistoryQuery,
  policyHistoryQuery,
  type StatsQuery,
  statsQuery,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** What auditors ask besides records: counts, keys, policies, leases, coverage. */
@Controller('v1/tenants/:tenant')
export class ReportsController {
  constructor(private readonly pipeline: Pipeline<AuditOperation>) {}

  @Get('stats')
  @Operation('GetRecordStats')
  stats(@Calling() call: Call, @Query({ schema: statsQuery }) query: StatsQuery) {
    return this.pipeline.run('GetRecordStats', call, query);
  }

  @Get('key-inventory')
  @Operation('ListKeyInventory')
  inventory(@Calling() call: Call, @Query({ schema: inventoryQuery }) query: InventoryQuery) {
    return this.pipeline.run('ListKeyInventory', call, query);
  }

  @Get('leases')
  @Operation('ListLeases')
  leases(@Calling() call: Call, @Query({ schema: leasesQuery }) query: LeasesQuery) {
    return this.pipeline.run('ListLeases', call, query);
  }

  @Get('coverage')
  @Operation('GetCoverage')
  coverage(@Calling() call: Call, @Query({ schema: coverageQuery }) query: CoverageQuery) {
    return this.pipeline.run('GetCoverage', call, query);
  }

  @Get('keys/:key/shredding-receipt')
  @Operation('ReadShreddingReceipt')
  shreddingReceipt(@Calling() call: Call, @Param({ schema: keyPath }) { key }: z.infer<typeof keyPath>) {
    return this.pipeline.run('ReadShreddingReceipt', call, { keyId: key });
  }

  @Get('policy-history')
  @Operation('ListPolicyHistory')
  policies(@Calling() call: Call, @Query({ schema: policyHistoryQuery }) query: PolicyHistoryQuery) {
    return this.pipeline.run('ListPolicyHistory', call, query);
  }
}
