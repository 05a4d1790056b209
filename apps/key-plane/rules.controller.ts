import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type KeyOperation,
  type PageQuery,
  pageQuery,
  type PolicyDocument,
  policyDocument,
  stopPath,
  type StopRequest,
  stopRequest,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Conditional, Operation, Replaces } from '#http';

/** Four times the largest policy: JSON may escape every character, and the schema counts bytes itself. */
const POLICY_BODY_BYTES = 128 * 1024;

/** What services may do with a tenant's keys, and what stops them at once. */
@Controller('v1/tenants/:tenant')
export class RulesController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get('policy')
  @Operation('GetPolicy')
  policy(@Calling() call: Call) {
    return this.pipeline.run('GetPolicy', call, undefined);
  }

  @Put('policy')
  @Conditional()
  @Operation('PutPolicy', { bodyLimit: POLICY_BODY_BYTES })
  putPolicy(@Calling() call: Call, @Replaces() replaces: number, @Body({ schema: policyDocument }) document: PolicyDocument) {
    return this.pipeline.run('PutPolicy', call, { document, replaces });
  }

  @Post('stops')
  @Operation('Stop')
  stop(@Calling() call: Call, @Body({ schema: stopRequest }) body: StopRequest) {
    return this.pipeline.run('Stop', call, body);
  }

  @Get('stops')
  @Operation('ListStops')
  stops(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListStops', call, query);
  }

  @Delete('stops/:stop')
  @Operation('Lift')
  lift(@Calling() call: Call, @Param({ schema: stopPath }) { stop }: z.infer<typeof stopPath>) {
    return this.pipeline.run('Lift', call, { stopId: stop });
  }
}
