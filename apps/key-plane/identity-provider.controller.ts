import { Body, Controller, Delete, Get, Put } from '@nestjs/common';
import { type IdentityProviderRequest, identityProviderRequest, type KeyOperation } from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation } from '#http';

/** Who vouches for a tenant's people. Only its own admins say so. */
@Controller('v1/tenants/:tenant/identity-provider')
export class IdentityProviderController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get()
  @Operation('GetIdentityProvider')
  get(@Calling() call: Call) {
    return this.pipeline.run('GetIdentityProvider', call, undefined);
  }

  @Put()
  @Operation('PutIdentityProvider')
  put(@Calling() call: Call, @Body({ schema: identityProviderRequest }) body: IdentityProviderRequest) {
    return this.pipeline.run('PutIdentityProvider', call, body);
  }

  @Delete()
  @Operation('DeleteIdentityProvider')
  delete(@Calling() call: Call) {
    return this.pipeline.run('DeleteIdentityProvider', call, undefined);
  }
}
