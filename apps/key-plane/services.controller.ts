import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type CatalogueEntryRequest,
  catalogueEntryRequest,
  type IssueServiceCredentialRequest,
  issueServiceCredentialRequest,
  type KeyOperation,
  noBody,
  type PageQuery,
  pageQuery,
  type RegisterServiceRequest,
  registerServiceRequest,
  serviceCredentialPath,
  servicePath,
  type SuspendRequest,
  suspendRequest,
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

  @Put(':service/catalogue')
  @Operation('PutCatalogueEntry')
  catalogue(
    @Calling() call: Call,
    @Param({ schema: servicePath }) { service }: ServicePath,
    @Body({ schema: catalogueEntryRequest }) body: CatalogueEntryRequest,
  ) {
    return this.pipeline.run('PutCatalogueEntry', call, { ...body, service });
  }

  @Post(':service/suspend')
  @Operation('SuspendService')
  suspend(
    @Calling() call: Call,
    @Param({ schema: servicePath }) { service }: ServicePath,
    @Body({ schema: suspendRequest }) body: SuspendRequest,
  ) {
    return this.pipeline.run('SuspendService', call, { ...body, service });
  }

  @Post(':service/resume')
  @Operation('ResumeService')
  resume(@Calling() call: Call, @Param({ schema: servicePath }) { service }: ServicePath, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('ResumeService', call, { service });
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
