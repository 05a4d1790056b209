import { Body, Controller, Delete, Get, Post, Put, Query } from '@nestjs/common';
import type { z } from 'zod';
import { aliasQuery, type AliasTarget, aliasTarget, type KeyOperation, type ListAliasesQuery, listAliasesQuery } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** Names of keys. An alias has slashes, so it stands in the body or the query, never in the path. */
@Controller('v1/tenants/:tenant/aliases')
export class AliasesController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get()
  @Operation('ListAliases')
  list(@Calling() call: Call, @Query({ schema: listAliasesQuery }) query: ListAliasesQuery) {
    return this.pipeline.run('ListAliases', call, query);
  }

  @Post()
  @Operation('CreateAlias')
  create(@Calling() call: Call, @Body({ schema: aliasTarget }) body: AliasTarget) {
    return this.pipeline.run('CreateAlias', call, body);
  }

  @Put()
  @Operation('UpdateAlias')
  move(@Calling() call: Call, @Body({ schema: aliasTarget }) body: AliasTarget) {
    return this.pipeline.run('UpdateAlias', call, body);
  }

  @Delete()
  @Operation('DeleteAlias')
  delete(@Calling() call: Call, @Query({ schema: aliasQuery }) query: z.infer<typeof aliasQuery>) {
    return this.pipeline.run('DeleteAlias', call, query);
  }
}
