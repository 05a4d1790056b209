import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import {
  type EnrolRequest,
  enrolRequest,
  type KeyOperation,
  type OnboardTenantRequest,
  onboardTenantRequest,
  type PageQuery,
  pageQuery,
  tenantPath,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** Tenants come in: an operator onboards, the tenant's first admin enrols. */
@Controller('v1/tenants')
export class TenantsController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Post()
  @Operation('OnboardTenant')
  onboard(@Calling() call: Call, @Body({ schema: onboardTenantRequest }) body: OnboardTenantRequest) {
    return this.pipeline.run('OnboardTenant', call, body);
  }

  @Get()
  @Operation('ListTenants')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListTenants', call, query);
  }

  @Post(':tenant/enrol')
  @Operation('Enrol')
  enrol(@Calling() call: Call, @Param({ schema: tenantPath }) _path: unknown, @Body({ schema: enrolRequest }) body: EnrolRequest) {
    return this.pipeline.run('Enrol', call, body);
  }
}
