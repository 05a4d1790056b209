import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type CreateAliasRequest,
  createAliasRequest,
  type CreateKeyRequest,
  createKeyRequest,
  keyPath,
  type KeyOperation,
  noBody,
  type PageQuery,
  pageQuery,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

type KeyPath = z.infer<typeof keyPath>;

/** A tenant's keys and their names. */
@Controller('v1/tenants/:tenant')
export class KeysController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Post('keys')
  @Operation('CreateKey')
  create(@Calling() call: Call, @Body({ schema: createKeyRequest }) body: CreateKeyRequest) {
    return this.pipeline.run('CreateKey', call, body);
  }

  @Get('keys')
  @Operation('ListKeys')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListKeys', call, query);
  }

  @Get('keys/:key')
  @Operation('DescribeKey')
  describe(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath) {
    return this.pipeline.run('DescribeKey', call, { keyId: key });
  }

  @Post('keys/:key/enable')
  @Operation('EnableKey')
  enable(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('EnableKey', call, { keyId: key });
  }

  @Post('keys/:key/disable')
  @Operation('DisableKey')
  disable(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('DisableKey', call, { keyId: key });
  }

  @Post('aliases')
  @Operation('CreateAlias')
  createAlias(@Calling() call: Call, @Body({ schema: createAliasRequest }) body: CreateAliasRequest) {
    return this.pipeline.run('CreateAlias', call, body);
  }
}
