import { Body, Controller, Delete, Get, Param, Put, Query } from '@nestjs/common';
import type { z } from 'zod';
import { type KeyOperation, type PageQuery, pageQuery, suspensionPath, type SuspendRequest, suspendRequest } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

type SuspensionPath = z.infer<typeof suspensionPath>;

/** Tenants whose keys no service may use, by the operator's decision. They belong to the platform, as all that the ISV decides. */
@Controller('v1/suspensions')
export class SuspensionsController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get()
  @Operation('ListSuspensions')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListSuspensions', call, query);
  }

  @Put(':suspended')
  @Operation('SuspendTenant')
  suspend(
    @Calling() call: Call,
    @Param({ schema: suspensionPath }) { suspended }: SuspensionPath,
    @Body({ schema: suspendRequest }) body: SuspendRequest,
  ) {
    return this.pipeline.run('SuspendTenant', call, { ...body, suspended });
  }

  @Delete(':suspended')
  @Operation('ResumeTenant')
  resume(@Calling() call: Call, @Param({ schema: suspensionPath }) { suspended }: SuspensionPath) {
    return this.pipeline.run('ResumeTenant', call, { suspended });
  }
}
