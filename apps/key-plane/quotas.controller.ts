import { Body, Controller, Get, Param, Put } from '@nestjs/common';
import type { z } from 'zod';
import { type KeyOperation, quotaPath, quotasPath, type SetQuotaRequest, setQuotaRequest, tenantPath } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** How much a tenant may have: the operator sets it, the tenant's admins read their own. */
@Controller('v1')
export class QuotasController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get('quotas/:limited')
  @Operation('DescribeTenantQuotas')
  describe(@Calling() call: Call, @Param({ schema: quotasPath }) path: z.infer<typeof quotasPath>) {
    return this.pipeline.run('DescribeTenantQuotas', call, path);
  }

  @Put('quotas/:limited/:quota')
  @Operation('SetQuota')
  set(
    @Calling() call: Call,
    @Param({ schema: quotaPath }) path: z.infer<typeof quotaPath>,
    @Body({ schema: setQuotaRequest }) body: SetQuotaRequest,
  ) {
    return this.pipeline.run('SetQuota', call, { ...path, ...body });
  }

  @Get('tenants/:tenant/quotas')
  @Operation('DescribeQuotas')
  own(@Calling() call: Call, @Param({ schema: tenantPath }) _path: unknown) {
    return this.pipeline.run('DescribeQuotas', call, undefined);
  }
}
