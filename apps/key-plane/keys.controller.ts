import { Body, Controller, Get, Param, Post, Put, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type CreateKeyRequest,
  createKeyRequest,
  type CreateKeyVersionRequest,
  createKeyVersionRequest,
  type DeletionProtectionRequest,
  deletionProtectionRequest,
  type DisableKeyRequest,
  disableKeyRequest,
  type KeyDescriptionRequest,
  keyDescriptionRequest,
  type ImportKeyMaterialRequest,
  importKeyMaterialRequest,
  type ImportParametersRequest,
  importParametersRequest,
  keyPath,
  type KeyOperation,
  type KeyRotationRequest,
  keyRotationRequest,
  type ListKeysQuery,
  listKeysQuery,
  noBody,
  type PageQuery,
  pageQuery,
  type PublicKeyQuery,
  publicKeyQuery,
  type ScheduleDeletionRequest,
  scheduleDeletionRequest,
  keyVersionPath,
  type RetireVersionRequest,
  retireVersionRequest,
  type StartRewrapRequest,
  startRewrapRequest,
  type TagKeyRequest,
  tagKeyRequest,
  type UntagKeyRequest,
  untagKeyRequest,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Conditional, Operation, Replaces } from '#http';

type KeyPath = z.infer<typeof keyPath>;
type KeyVersionPath = z.infer<typeof keyVersionPath>;

/** A tenant's keys: their making, their description, the wait for their end. */
@Controller('v1/tenants/:tenant/keys')
export class KeysController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Post()
  @Operation('CreateKey')
  create(@Calling() call: Call, @Body({ schema: createKeyRequest }) body: CreateKeyRequest) {
    return this.pipeline.run('CreateKey', call, body);
  }

  @Get()
  @Operation('ListKeys')
  list(@Calling() call: Call, @Query({ schema: listKeysQuery }) query: ListKeysQuery) {
    return this.pipeline.run('ListKeys', call, query);
  }

  @Get(':key')
  @Operation('DescribeKey')
  describe(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath) {
    return this.pipeline.run('DescribeKey', call, { keyId: key });
  }

  @Get(':key/usage')
  @Operation('DescribeKeyUsage')
  usage(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath) {
    return this.pipeline.run('DescribeKeyUsage', call, { keyId: key });
  }

  @Post(':key/enable')
  @Operation('EnableKey')
  enable(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('EnableKey', call, { keyId: key });
  }

  @Post(':key/disable')
  @Operation('DisableKey')
  disable(
    @Calling() call: Call,
    @Param({ schema: keyPath }) { key }: KeyPath,
    @Body({ schema: disableKeyRequest }) body: DisableKeyRequest,
  ) {
    return this.pipeline.run('DisableKey', call, { keyId: key, ...body });
  }

  @Post(':key/versions')
  @Operation('CreateKeyVersion')
  createVersion(
    @Calling() call: Call,
    @Param({ schema: keyPath }) { key }: KeyPath,
    @Body({ schema: createKeyVersionRequest }) body: CreateKeyVersionRequest,
  ) {
    return this.pipeline.run('CreateKeyVersion', call, { keyId: key, ...body });
  }

  @Get(':key/rotation')
  @Operation('GetKeyRotation')
  rotation(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath) {
    return this.pipeline.run('GetKeyRotation', call, { keyId: key });
  }

  @Put(':key/rotation')
  @Conditional()
  @Operation('PutKeyRotation')
  setRotation(
    @Calling() call: Call,
    @Param({ schema: keyPath }) { key }: KeyPath,
    @Replaces() replaces: number,
    @Body({ schema: keyRotationRequest }) body: KeyRotationRequest,
  ) {
    return this.pipeline.run('PutKeyRotation', call, { keyId: key, ...body, replaces });
  }

  @Get(':key/versions/:keyVersion/references')
  @Operation('ListVersionReferences')
  references(@Calling() call: Call, @Param({ schema: keyVersionPath }) { key, keyVersion }: KeyVersionPath) {
    return this.pipeline.run('ListVersionReferences', call, { keyId: key, keyVersionId: keyVersion });
  }

  @Post(':key/versions/:keyVersion/retire')
  @Operation('RetireKeyVersion')
  retire(
    @Calling() call: Call,
    @Param({ schema: keyVersionPath }) { key, keyVersion }: KeyVersionPath,
    @Body({ schema: retireVersionRequest }) body: RetireVersionRequest,
  ) {
    return this.pipeline.run('RetireKeyVersion', call, { keyId: key, keyVersionId: keyVersion, ...body });
  }

  /** Answered at once; the operation goes on. */
  @Post(':key/rewraps')
  @Operation('StartRewrap')
  startRewrap(
    @Calling() call: Call,
    @Param({ schema: keyPath }) { key }: KeyPath,
    @Body({ schema: startRewrapRequest }) body: StartRewrapRequest,
  ) {
    return this.pipeline.run('StartRewrap', call, { keyId: key, ...body });
  }

  @Post(':key/import-parameters')
  @Operation('GetImportParameters')
  importParameters(
    @Calling() call: Call,
    @Param({ schema: keyPath }) { key }: KeyPath,
    @Body({ schema: importParametersRequest }) body: ImportParametersRequest,
  ) {
    return this.pipeline.run('GetImportParameters', call, { keyId: key, ...body });
  }

  @Post(':key/import')
  @Operation('ImportKeyMaterial')
  importMaterial(
    @Calling() call: Call,
    @Param({ schema: keyPath }) { key }: KeyPath,
    @Body({ schema: importKeyMaterialRequest }) body: ImportKeyMaterialRequest,
  ) {
    return this.pipeline.run('ImportKeyMaterial', call, { keyId: key, ...body });
  }

  @Post(':key/delete-material')
  @Operation('DeleteImportedKeyMaterial')
  deleteMaterial(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('DeleteImportedKeyMaterial', call, { keyId: key });
  }

  @Get(':key/versions')
  @Operation('ListKeyVersions')
  listVersions(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListKeyVersions', call, { keyId: key, ...query });
  }

  @Get(':key/public-key')
  @Operation('DescribePublicKey')
  publicKey(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath, @Query({ schema: publicKeyQuery }) query: PublicKeyQuery) {
    return this.pipeline.run('DescribePublicKey', call, { keyId: key, ...query });
  }

  @Put(':key/description')
  @Operation('UpdateKeyDescription')
  describeAs(
    @Calling() call: Call,
    @Param({ schema: keyPath }) { key }: KeyPath,
    @Body({ schema: keyDescriptionRequest }) body: KeyDescriptionRequest,
  ) {
    return this.pipeline.run('UpdateKeyDescription', call, { keyId: key, ...body });
  }

  @Post(':key/tag')
  @Operation('TagKey')
  tag(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath, @Body({ schema: tagKeyRequest }) body: TagKeyRequest) {
    return this.pipeline.run('TagKey', call, { keyId: key, ...body });
  }

  @Post(':key/untag')
  @Operation('UntagKey')
  untag(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath, @Body({ schema: untagKeyRequest }) body: UntagKeyRequest) {
    return this.pipeline.run('UntagKey', call, { keyId: key, ...body });
  }

  @Put(':key/deletion-protection')
  @Operation('SetDeletionProtection')
  protect(
    @Calling() call: Call,
    @Param({ schema: keyPath }) { key }: KeyPath,
    @Body({ schema: deletionProtectionRequest }) body: DeletionProtectionRequest,
  ) {
    return this.pipeline.run('SetDeletionProtection', call, { keyId: key, ...body });
  }

  @Post(':key/schedule-deletion')
  @Operation('ScheduleKeyDeletion')
  scheduleDeletion(
    @Calling() call: Call,
    @Param({ schema: keyPath }) { key }: KeyPath,
    @Body({ schema: scheduleDeletionRequest }) body: ScheduleDeletionRequest,
  ) {
    return this.pipeline.run('ScheduleKeyDeletion', call, { keyId: key, ...body });
  }

  @Post(':key/cancel-deletion')
  @Operation('CancelKeyDeletion')
  cancelDeletion(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath, @Body({ schema: noBody }) _body: unknown) {
    return this.pipeline.run('CancelKeyDeletion', call, { keyId: key });
  }

  @Get(':key/shredding-receipt')
  @Operation('GetShreddingReceipt')
  shreddingReceipt(@Calling() call: Call, @Param({ schema: keyPath }) { key }: KeyPath) {
    return this.pipeline.run('GetShreddingReceipt', call, { keyId: key });
  }
}
