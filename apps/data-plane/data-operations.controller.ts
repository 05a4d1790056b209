import { Body, Controller, Post } from '@nestjs/common';
import {
  type AsymmetricDecryptRequest,
  asymmetricDecryptRequest,
  type AsymmetricEncryptRequest,
  asymmetricEncryptRequest,
  type DataOperation,
  type DecryptBatchRequest,
  decryptBatchRequest,
  type DecryptRequest,
  decryptRequest,
  type EncryptBatchRequest,
  encryptBatchRequest,
  type EncryptRequest,
  encryptRequest,
  type GenerateDataKeyBatchRequest,
  generateDataKeyBatchRequest,
  type GenerateDataKeyRequest,
  generateDataKeyRequest,
  type GenerateDataKeyWithoutPlaintextRequest,
  generateDataKeyWithoutPlaintextRequest,
  MAX_BATCH_BYTES,
  type GenerateMacRequest,
  generateMacRequest,
  type GenerateRandomRequest,
  generateRandomRequest,
  type GetPublicKeyRequest,
  getPublicKeyRequest,
  type ReEncryptBatchRequest,
  reEncryptBatchRequest,
  type ReEncryptRequest,
  reEncryptRequest,
  type SignRequest,
  signRequest,
  type VerifyMacRequest,
  verifyMacRequest,
  type VerifyRequest,
  verifyRequest,
} from '#contract';
import { type Call, Pipeline, reEncrypt, reEncryptBatch } from '#core';
import { Calling, itemsOf, Operation } from '#http';

const BATCH = { batch: true, bodyLimit: MAX_BATCH_BYTES } as const;

/** What the ISV's services do with keys that were granted to them. */
@Controller('v1/tenants/:tenant')
export class DataOperationsController {
  constructor(private readonly pipeline: Pipeline<DataOperation>) {}

  @Post('encrypt')
  @Operation('Encrypt')
  encrypt(@Calling() call: Call, @Body({ schema: encryptRequest }) body: EncryptRequest) {
    return this.pipeline.run('Encrypt', call, body);
  }

  @Post('encrypt/batch')
  @Operation('Encrypt', BATCH)
  encryptBatch(@Calling() call: Call, @Body({ schema: encryptBatchRequest }) body: EncryptBatchRequest) {
    return this.pipeline.runBatch('Encrypt', call, itemsOf(body));
  }

  @Post('decrypt')
  @Operation('Decrypt')
  decrypt(@Calling() call: Call, @Body({ schema: decryptRequest }) body: DecryptRequest) {
    return this.pipeline.run('Decrypt', call, body);
  }

  @Post('decrypt/batch')
  @Operation('Decrypt', BATCH)
  decryptBatch(@Calling() call: Call, @Body({ schema: decryptBatchRequest }) body: DecryptBatchRequest) {
    return this.pipeline.runBatch('Decrypt', call, itemsOf(body));
  }

  @Post('data-keys')
  @Operation('GenerateDataKey')
  generate(@Calling() call: Call, @Body({ schema: generateDataKeyRequest }) body: GenerateDataKeyRequest) {
    return this.pipeline.run('GenerateDataKey', call, body);
  }

  @Post('data-keys/batch')
  @Operation('GenerateDataKey', BATCH)
  generateBatch(@Calling() call: Call, @Body({ schema: generateDataKeyBatchRequest }) body: GenerateDataKeyBatchRequest) {
    return this.pipeline.runBatch('GenerateDataKey', call, itemsOf(body));
  }

  @Post('data-keys/without-plaintext')
  @Operation('GenerateDataKeyWithoutPlaintext')
  generateWithoutPlaintext(
    @Calling() call: Call,
    @Body({ schema: generateDataKeyWithoutPlaintextRequest }) body: GenerateDataKeyWithoutPlaintextRequest,
  ) {
    return this.pipeline.run('GenerateDataKeyWithoutPlaintext', call, body);
  }

  @Post('re-encrypt')
  @Operation('ReEncryptTo')
  reEncrypt(@Calling() call: Call, @Body({ schema: reEncryptRequest }) body: ReEncryptRequest) {
    return reEncrypt(this.pipeline, call, body);
  }

  @Post('re-encrypt/batch')
  @Operation('ReEncryptTo', BATCH)
  reEncryptBatch(@Calling() call: Call, @Body({ schema: reEncryptBatchRequest }) body: ReEncryptBatchRequest) {
    return reEncryptBatch(this.pipeline, call, itemsOf(body));
  }

  @Post('mac')
  @Operation('GenerateMac')
  mac(@Calling() call: Call, @Body({ schema: generateMacRequest }) body: GenerateMacRequest) {
    return this.pipeline.run('GenerateMac', call, body);
  }

  @Post('mac/verify')
  @Operation('VerifyMac')
  verifyMac(@Calling() call: Call, @Body({ schema: verifyMacRequest }) body: VerifyMacRequest) {
    return this.pipeline.run('VerifyMac', call, body);
  }

  @Post('sign')
  @Operation('Sign')
  sign(@Calling() call: Call, @Body({ schema: signRequest }) body: SignRequest) {
    return this.pipeline.run('Sign', call, body);
  }

  @Post('verify')
  @Operation('Verify')
  verify(@Calling() call: Call, @Body({ schema: verifyRequest }) body: VerifyRequest) {
    return this.pipeline.run('Verify', call, body);
  }

  @Post('random')
  @Operation('GenerateRandom')
  random(@Calling() call: Call, @Body({ schema: generateRandomRequest }) body: GenerateRandomRequest) {
    return this.pipeline.run('GenerateRandom', call, body);
  }

  @Post('asymmetric/encrypt')
  @Operation('AsymmetricEncrypt')
  asymmetricEncrypt(@Calling() call: Call, @Body({ schema: asymmetricEncryptRequest }) body: AsymmetricEncryptRequest) {
    return this.pipeline.run('AsymmetricEncrypt', call, body);
  }

  @Post('asymmetric/decrypt')
  @Operation('AsymmetricDecrypt')
  asymmetricDecrypt(@Calling() call: Call, @Body({ schema: asymmetricDecryptRequest }) body: AsymmetricDecryptRequest) {
    return this.pipeline.run('AsymmetricDecrypt', call, body);
  }

  @Post('public-key')
  @Operation('GetPublicKey')
  publicKey(@Calling() call: Call, @Body({ schema: getPublicKeyRequest }) body: GetPublicKeyRequest) {
    return this.pipeline.run('GetPublicKey', call, body);
  }
}
