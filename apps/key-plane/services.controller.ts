import { Body, Controller, Delete, Get, Param, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type IssueServiceCredentialRequest,
  issueServiceCredentialRequest,
  type KeyOperation,
  type PageQuery,
  pageQuery,
  type RegisterServiceRequest,
  registerServiceRequest,
  serviceCredentialPath,
  servicePath,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

type ServicePath = z.infer<typeof servicePath>;
type ServiceCredentialPath = z.infer<typeof serviceCredentialPath>;

/** The ISV's own services, kept by its operators. */
@Controller('v1/services')
export class ServicesController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Post()
  @Operation('RegisterService')
  register(@Calling() call: Call, @Body({ schema: registerServiceRequest }) body: RegisterServiceRequest) {
    return this.pipeline.run('RegisterService', call, body);
  }

  @Get()
  @Operation('ListServices')
  list(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListServices', call, query);
  }

  @Post(':service/credentials')
  @Operation('IssueServiceCredential')
  issue(
    @Calling() call: Call,
    @Param({ schema: servicePath }) { service }: ServicePath,
    @Body({ schema: issueServiceCredentialRequest }) body: IssueServiceCredentialRequest,
  ) {
    return this.pipeline.run('IssueServiceCredential', call, { ...body, service });
  }

  @Get(':service/credentials')
  @Operation('ListServiceCredentials')
  credentials(
    @Calling() call: Call,
    @Param({ schema: servicePath }) { service }: ServicePath,
    @Query({ schema: pageQuery }) query: PageQuery,
  ) {
    return this.pipeline.run('ListServiceCredentials', call, { ...query, service });
  }

  @Delete(':service/credentials/:credential')
  @Operation('RevokeServiceCredential')
  revoke(@Calling() call: Call, @Param({ schema: serviceCredentialPath }) { service, credential }: ServiceCredentialPath) {
    return this.pipeline.run('RevokeServiceCredential', call, { service, credentialId: credential });
  }
}
