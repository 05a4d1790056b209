import { Body, Controller, Delete, Get, Param, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  credentialPath,
  type IssueCredentialRequest,
  issueCredentialRequest,
  type KeyOperation,
  type PageQuery,
  pageQuery,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** Who may act for a tenant: its admins and auditors. */
@Controller('v1/tenants/:tenant/credentials')
export class CredentialsController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Post()
  @Operation('IssueCredential')
  issue(@Calling() call: Call, @Body({ schema: issueCredentialRequest }) body: IssueCredentialRequest) {
    return this.pipeline.run('IssueCredential', call, body);
  }

  @Get()
  @Operation('ListCredentials')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListCredentials', call, query);
  }

  @Delete(':credential')
  @Operation('RevokeCredential')
  revoke(@Calling() call: Call, @Param({ schema: credentialPath }) { credential }: z.infer<typeof credentialPath>) {
    return this.pipeline.run('RevokeCredential', call, { credentialId: credential });
  }
}
