import { Body, Controller, Delete, Get, Param, Put, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type AgreeRequest,
  agreeRequest,
  type KeyOperation,
  offBoardingPath,
  type OffBoardRequest,
  offBoardRequest,
  type PageQuery,
  pageQuery,
  tenantPath,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

type OffBoardingPath = z.infer<typeof offBoardingPath>;

/** Tenants that leave: operators begin and cancel it, the tenant's admins agree, or take that back. */
@Controller('v1')
export class OffBoardingController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get('off-boardings')
  @Operation('ListOffBoardings')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListOffBoardings', call, query);
  }

  @Put('off-boardings/:leaving')
  @Operation('OffBoardTenant')
  begin(
    @Calling() call: Call,
    @Param({ schema: offBoardingPath }) { leaving }: OffBoardingPath,
    @Body({ schema: offBoardRequest }) body: OffBoardRequest,
  ) {
    return this.pipeline.run('OffBoardTenant', call, { ...body, leaving });
  }

  @Delete('off-boardings/:leaving')
  @Operation('CancelOffBoarding')
  cancel(@Calling() call: Call, @Param({ schema: offBoardingPath }) { leaving }: OffBoardingPath) {
    return this.pipeline.run('CancelOffBoarding', call, { leaving });
  }

  @Get('tenants/:tenant/off-boarding')
  @Operation('DescribeOffBoarding')
  describe(@Calling() call: Call, @Param({ schema: tenantPath }) _path: unknown) {
    return this.pipeline.run('DescribeOffBoarding', call, undefined);
  }

  @Put('tenants/:tenant/off-boarding')
  @Operation('AgreeToOffBoarding')
  agree(@Calling() call: Call, @Param({ schema: tenantPath }) _path: unknown, @Body({ schema: agreeRequest }) body: AgreeRequest) {
    return this.pipeline.run('AgreeToOffBoarding', call, body);
  }

  @Delete('tenants/:tenant/off-boarding')
  @Operation('WithdrawFromOffBoarding')
  withdraw(@Calling() call: Call, @Param({ schema: tenantPath }) _path: unknown) {
    return this.pipeline.run('WithdrawFromOffBoarding', call, undefined);
  }
}
