import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  type DiffPolicyQuery,
  diffPolicyQuery,
  type KeyOperation,
  noBody,
  type PageQuery,
  pageQuery,
  type PolicyDocument,
  policyDocument,
  type PolicyText,
  policyText,
  policyVersionPath,
  type PreviewQuery,
  previewQuery,
  type PublishDraftRequest,
  publishDraftRequest,
  type SimulateRequest,
  simulateRequest,
  type WhoCanQuery,
  whoCanQuery,
} from '#contract';
import { type Call, Pipeline } from '#core';
import { Calling, Conditional, Operation, Replaces } from '#http';

/** Four times the largest policy: JSON may escape every character, and the schema counts bytes itself. */
const DOCUMENT_BYTES = { bodyLimit: 128 * 1024 };
/** As text it is escaped once more. */
const TEXT_BYTES = { bodyLimit: 2 * 128 * 1024 };

type VersionPath = z.infer<typeof policyVersionPath>;

/** Which service may use which key for what, in the tenant's own words. */
@Controller('v1/tenants/:tenant')
export class PolicyController {
  constructor(private readonly pipeline: Pipeline<KeyOperation>) {}

  @Get('policy')
  @Operation('GetPolicy')
  policy(@Calling() call: Call) {
    return this.pipeline.run('GetPolicy', call, undefined);
  }

  @Put('policy')
  @Conditional()
  @Operation('PutPolicy', DOCUMENT_BYTES)
  put(@Calling() call: Call, @Replaces() replaces: number, @Body({ schema: policyDocument }) document: PolicyDocument) {
    return this.pipeline.run('PutPolicy', call, { document, replaces });
  }

  @Get('policy/versions')
  @Operation('ListPolicyVersions')
  versions(@Calling() call: Call, @Query({ schema: pageQuery }) query: PageQuery) {
    return this.pipeline.run('ListPolicyVersions', call, query);
  }

  @Get('policy/versions/:version')
  @Operation('GetPolicyVersion')
  version(@Calling() call: Call, @Param({ schema: policyVersionPath }) { version }: VersionPath) {
    return this.pipeline.run('GetPolicyVersion', call, { version });
  }

  @Get('policy/versions/:version/csv')
  @Operation('ExportPolicy')
  csv(@Calling() call: Call, @Param({ schema: policyVersionPath }) { version }: VersionPath) {
    return this.pipeline.run('ExportPolicy', call, { version });
  }

  @Post('policy/versions/:version/rollback')
  @Conditional()
  @Operation('RollbackPolicy')
  rollback(
    @Calling() call: Call,
    @Param({ schema: policyVersionPath }) { version }: VersionPath,
    @Replaces() replaces: number,
    @Body({ schema: noBody }) _body: unknown,
  ) {
    return this.pipeline.run('RollbackPolicy', call, { version, replaces });
  }

  @Get('policy/diff')
  @Operation('DiffPolicy')
  diff(@Calling() call: Call, @Query({ schema: diffPolicyQuery }) query: DiffPolicyQuery) {
    return this.pipeline.run('DiffPolicy', call, query);
  }

  @Post('policy/lint')
  @Operation('LintPolicy', TEXT_BYTES)
  lint(@Calling() call: Call, @Body({ schema: policyText }) body: PolicyText) {
    return this.pipeline.run('LintPolicy', call, body);
  }

  @Put('policy/draft')
  @Operation('PutPolicyDraft', TEXT_BYTES)
  putDraft(@Calling() call: Call, @Body({ schema: policyText }) body: PolicyText) {
    return this.pipeline.run('PutPolicyDraft', call, body);
  }

  @Get('policy/draft')
  @Operation('GetPolicyDraft')
  draft(@Calling() call: Call) {
    return this.pipeline.run('GetPolicyDraft', call, undefined);
  }

  @Delete('policy/draft')
  @Operation('DiscardPolicyDraft')
  discard(@Calling() call: Call) {
    return this.pipeline.run('DiscardPolicyDraft', call, undefined);
  }

  @Get('policy/draft/validation')
  @Operation('ValidatePolicyDraft')
  validate(@Calling() call: Call) {
    return this.pipeline.run('ValidatePolicyDraft', call, undefined);
  }

  @Get('policy/draft/preview')
  @Operation('PreviewPolicyDraft')
  preview(@Calling() call: Call, @Query({ schema: previewQuery }) query: PreviewQuery) {
    return this.pipeline.run('PreviewPolicyDraft', call, query);
  }

  @Post('policy/draft/publish')
  @Conditional()
  @Operation('PublishPolicyDraft')
  publish(@Calling() call: Call, @Replaces() replaces: number, @Body({ schema: publishDraftRequest }) body: PublishDraftRequest) {
    return this.pipeline.run('PublishPolicyDraft', call, { ...body, replaces });
  }

  @Post('policy/simulate')
  @Operation('SimulatePolicy')
  simulate(@Calling() call: Call, @Body({ schema: simulateRequest }) body: SimulateRequest) {
    return this.pipeline.run('SimulatePolicy', call, body);
  }

  @Get('who-can')
  @Operation('WhoCan')
  whoCan(@Calling() call: Call, @Query({ schema: whoCanQuery }) query: WhoCanQuery) {
    return this.pipeline.run('WhoCan', call, query);
  }
}
