import { Body, Controller, Get, Param, Post, Put, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type CreateSecretRequest,
  createSecretRequest,
  type DeleteSecretRequest,
  deleteSecretRequest,
  type KeyOperation,
  type ListSecretsQuery,
  listSecretsQuery,
  noBody,
  secretPath,
  type SecretRotationRequest,
  secretRotationRequest,
  type UpdateSecretLabelsRequest,
  updateSecretLabelsRequest,
  type UpdateSecretRequest,
  updateSecretRequest,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Operation, wiped } from '#http';

type SecretPath = z.infer<typeof secretPath>;

/** A tenant's secrets: their making, their labels, the wait for their end. */
@Controller('v1/tenants/:tenant/secrets')
export class SecretsController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Post()
  @Operation('CreateSecret')
  create(@Calling() call: Call, @Body({ schema: createSecretRequest }) body: CreateSecretRequest) {
    return wiped(body.value, () => this.pipeline.run('CreateSecret', call, body));
  }

  @Get()
  @Operation('ListSecrets')
  list(@Calling() call: Call, @Query({ schema: listSecretsQuery }) query: ListSecretsQuery) {
    return this.pipeline.run('ListSecrets', call, query);
  }

  @Get(':secret/versions')
  @Operation('ListSecretVersions')
  versions(@Calling() call: Call, @Param({ schema: secretPath }) { secret }: SecretPath) {
    return this.pipeline.run('ListSecretVersions', call, { secretId: secret });
  }

  @Put(':secret')
  @Operation('UpdateSecret')
  update(
    @Calling() call: Call,
    @Param({ schema: secretPath }) { secret }: SecretPath,
    @Body({ schema: updateSecretRequest }) body: UpdateSecretRequest,
  ) {
    return this.pipeline.run('UpdateSecret', call, { secretId: secret, ...body });
  }

  @Post(':secret/labels')
  @Operation('UpdateSecretVersionLabels')
  label(
    @Calling() call: Call,
    @Param({ schema: secretPath }) { secret }: SecretPath,
    @Body({ schema: updateSecretLabelsRequest }) body: UpdateSecretLabelsRequest,
  ) {
    return this.pipeline.run('UpdateSecretVersionLabels', call, { secretId: secret, ...body });
  }

  @Post(':secret/delete')
  @Operation('DeleteSecret')
  delete(
    @Calling() call: Call,
    @Param({ schema: secretPath }) { secret }: SecretPath,
    @Body({ schema: deleteSecretRequest }) body: DeleteSecretRequest,
  ) {
    return this.pipeline.run('DeleteSecret', call, { secretId: secret, ...body });
  }

  @Post(':secret/restore')
  @Operation('RestoreSecret')
  restore(@Calling() call: Call, @Param({ schema: secretPath }) { secret }: SecretPath, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('RestoreSecret', call, { secretId: secret });
  }

  @Put(':secret/rotation')
  @Operation('UpdateSecretRotationPolicy')
  rotation(
    @Calling() call: Call,
    @Param({ schema: secretPath }) { secret }: SecretPath,
    @Body({ schema: secretRotationRequest }) body: SecretRotationRequest,
  ) {
    return this.pipeline.run('UpdateSecretRotationPolicy', call, { secretId: secret, ...body });
  }

  @Post(':secret/rotate')
  @Operation('RotateSecret')
  rotate(@Calling() call: Call, @Param({ schema: secretPath }) { secret }: SecretPath, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('RotateSecret', call, { secretId: secret });
  }
}
