import type { Readable } from 'node:stream';
import { z } from 'zod';
import {
  type agreeRequest,
  aliasAnswer,
  type aliasTarget,
  checkpointsAnswer,
  calendarItem,
  capabilitiesAnswer,
  type catalogueEntryRequest,
  type createKeyRequest,
  type createKeyVersionRequest,
  type createSinkRequest,
  consistencyAnswer,
  coverageAnswer,
  credentialSummary,
  type diffPolicyQuery,
  enrolAnswer,
  type enrolRequest,
  type erasePersonalFieldsRequest,
  erasureAnswer,
  identityProviderAnswer,
  type identityProviderRequest,
  inventoryItem,
  type issueCredentialRequest,
  type disableKeyRequest,
  issuedCredential,
  type issueServiceCredentialRequest,
  keyDescription,
  keyRotation,
  type keyRotationRequest,
  keyUsageAnswer,
  keyVersionSummary,
  leasesAnswer,
  lintAnswer,
  type listKeysQuery,
  logAnswer,
  logKeyAnswer,
  pruneAnswer,
  type pruneRequest,
  retentionAnswer,
  type retentionRequest,
  type listRecordsQuery,
  offBoardingAnswer,
  type offBoardRequest,
  onboardTenantAnswer,
  type onboardTenantRequest,
  type pageQuery,
  policyAnswer,
  policyDiffAnswer,
  type policyDocument,
  policyDraftAnswer,
  policyHistoryAnswer,
  type policyText,
  policyVersionSummary,
  publicKeyAnswer,
  previewAnswer,
  quotaAnswer,
  type QuotaName,
  quotasAnswer,
  type publishDraftRequest,
  recordsAnswer,
  type registerServiceRequest,
  type rotateLogKeyRequest,
  type scheduleDeletionRequest,
  completionCertificateAnswer,
  longOperation,
  versionReferencesAnswer,
  jobsAnswer,
  bindingKeyAnswer,
  rootAnswer,
  type startRewrapRequest,
  serviceSummary,
  importParametersAnswer,
  type importKeyMaterialRequest,
  type importParametersRequest,
  type setQuotaRequest,
  shreddingReceiptAnswer,
  simulateAnswer,
  type simulateRequest,
  sinkAnswer,
  statsAnswer,
  stopAnswer,
  type stopRequest,
  type suspendRequest,
  suspensionAnswer,
  tenantSummary,
  type updateSinkRequest,
  validateDraftAnswer,
  whoCanEntry,
} from '#contract';
import { AdminSecrets } from './admin-secrets.js';
import { type Bundle, parseCheckpoint, tiledLog } from '#trail';
import { bearerOf, type Proof } from './bearer.js';
import { KeywardError } from './errors.js';
import { operationEvents } from './operation-events.js';
import { at, PlaneCalls } from './plane-calls.js';
import type { Patience } from './retries.js';
import { type Connection, Transport } from './transport.js';

export const DEFAULT_KEY_PLANE = 'http://127.0.0.1:7710';
export const DEFAULT_AUDITOR = 'http://127.0.0.1:7730';

/** `apiKey`: an operator's, admin's or auditor's credential; or an enrolment code, which may do nothing but enrol. */
export type KeywardAdminOptions = Proof &
  Partial<Patience> &
  Partial<Omit<Connection, 'url' | 'keepAlive'>> & { readonly keyPlane?: string | undefined; readonly auditor?: string | undefined };

type Page = Partial<z.output<typeof pageQuery>>;
type RecordsFilter = Partial<Omit<z.output<typeof listRecordsQuery>, 'keyId' | 'op'>> & { readonly keyId?: string; readonly op?: string };
const pageOf = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item), nextCursor: z.string().optional() });

/**
 * Key plane and auditor, one method a route; which may be called is the credential's matter. Each answers what `#contract` says, with
 * `requestId` and `record`. Changes are sent once: after an `Unavailable`, look before asking again.
 */
export class KeywardAdmin {
  readonly #keys: PlaneCalls;
  readonly #audit: PlaneCalls;
  readonly secrets: AdminSecrets;

  constructor({ keyPlane = DEFAULT_KEY_PLANE, auditor = DEFAULT_AUDITOR, ca, allowPlainHttp, ...options }: KeywardAdminOptions) {
    // No kept connection: a change must not be lost on one that the server has just closed, for it is not sent again.
    const to = (url: string) => new PlaneCalls(new Transport({ url, ca, allowPlainHttp, keepAlive: false }), bearerOf(options), options);
    this.#keys = to(keyPlane);
    this.#audit = to(auditor);
    this.secrets = new AdminSecrets(this.#keys);
  }

  // Operators
  onboardTenant(body: z.input<typeof onboardTenantRequest>) {
    return this.#keys.change(onboardTenantAnswer, { path: '/v1/tenants', body });
  }
  listTenants(page: Page = {}) {
    return this.#keys.read(pageOf(tenantSummary), '/v1/tenants', page);
  }
  registerService(body: z.input<typeof registerServiceRequest>) {
    return this.#keys.change(serviceSummary, { path: '/v1/services', body });
  }
  listServices(page: Page = {}) {
    return this.#keys.read(pageOf(serviceSummary), '/v1/services', page);
  }
  putCatalogueEntry(service: string, body: z.input<typeof catalogueEntryRequest>) {
    return this.#keys.change(serviceSummary, { method: 'PUT', path: at`/v1/services/${service}/catalogue`, body });
  }
  suspendService(service: string, body: z.input<typeof suspendRequest> = {}) {
    return this.#keys.change(serviceSummary, { path: at`/v1/services/${service}/suspend`, body });
  }
  resumeService(service: string) {
    return this.#keys.change(serviceSummary, { path: at`/v1/services/${service}/resume` });
  }
  suspendTenant(tenant: string, body: z.input<typeof suspendRequest> = {}) {
    return this.#keys.change(suspensionAnswer, { method: 'PUT', path: at`/v1/suspensions/${tenant}`, body });
  }
  resumeTenant(tenant: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/suspensions/${tenant}` });
  }
  listSuspensions(page: Page = {}) {
    return this.#keys.read(pageOf(suspensionAnswer), '/v1/suspensions', page);
  }
  /** How much a tenant may have, and has. */
  describeTenantQuotas(tenant: string) {
    return this.#keys.read(quotasAnswer, at`/v1/quotas/${tenant}`);
  }
  /** `limit` null: the standard one again. */
  setQuota(tenant: string, quota: QuotaName, body: z.input<typeof setQuotaRequest>) {
    return this.#keys.change(quotaAnswer, { method: 'PUT', path: at`/v1/quotas/${tenant}/${quota}`, body });
  }
  /** Begins it; after `days` all of the tenant is destroyed but its log. */
  offBoardTenant(tenant: string, body: z.input<typeof offBoardRequest> = {}) {
    return this.#keys.change(offBoardingAnswer, { method: 'PUT', path: at`/v1/off-boardings/${tenant}`, body });
  }
  cancelOffBoarding(tenant: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/off-boardings/${tenant}` });
  }
  listOffBoardings(page: Page = {}) {
    return this.#keys.read(pageOf(offBoardingAnswer), '/v1/off-boardings', page);
  }
  /** With `publicKey` no API key is answered: the service signs its own tokens. */
  issueServiceCredential(service: string, body: z.input<typeof issueServiceCredentialRequest> = {}) {
    return this.#keys.change(issuedCredential, { path: at`/v1/services/${service}/credentials`, body });
  }
  listServiceCredentials(service: string, page: Page = {}) {
    return this.#keys.read(pageOf(credentialSummary), at`/v1/services/${service}/credentials`, page);
  }
  revokeServiceCredential(service: string, credentialId: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/services/${service}/credentials/${credentialId}` });
  }

  /** With the enrolment code as the credential. The answered `apiKey` is shown this once. */
  enrol(tenant: string, body: z.input<typeof enrolRequest>) {
    return this.#keys.change(enrolAnswer, { path: at`/v1/tenants/${tenant}/enrol`, body });
  }

  // A tenant's admins
  /** `confirm`: the tenant's own name. Nothing happens before the operator begins it. */
  agreeToOffBoarding(tenant: string, body: z.input<typeof agreeRequest>) {
    return this.#keys.change(offBoardingAnswer, { method: 'PUT', path: at`/v1/tenants/${tenant}/off-boarding`, body });
  }
  /** Also while it waits. */
  withdrawFromOffBoarding(tenant: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/tenants/${tenant}/off-boarding` });
  }
  describeOffBoarding(tenant: string) {
    return this.#keys.read(offBoardingAnswer, at`/v1/tenants/${tenant}/off-boarding`);
  }
  describeQuotas(tenant: string) {
    return this.#keys.read(quotasAnswer, at`/v1/tenants/${tenant}/quotas`);
  }
  putIdentityProvider(tenant: string, body: z.input<typeof identityProviderRequest>) {
    return this.#keys.change(identityProviderAnswer, { method: 'PUT', path: at`/v1/tenants/${tenant}/identity-provider`, body });
  }
  getIdentityProvider(tenant: string) {
    return this.#keys.read(identityProviderAnswer, at`/v1/tenants/${tenant}/identity-provider`);
  }
  deleteIdentityProvider(tenant: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/tenants/${tenant}/identity-provider` });
  }
  /** With `subject` no API key is answered: the person signs in at the tenant's identity provider. */
  issueCredential(tenant: string, body: z.input<typeof issueCredentialRequest>) {
    return this.#keys.change(issuedCredential, { path: at`/v1/tenants/${tenant}/credentials`, body });
  }
  listCredentials(tenant: string, page: Page = {}) {
    return this.#keys.read(pageOf(credentialSummary), at`/v1/tenants/${tenant}/credentials`, page);
  }
  revokeCredential(tenant: string, credentialId: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/tenants/${tenant}/credentials/${credentialId}` });
  }
  createKey(tenant: string, body: z.input<typeof createKeyRequest> = {}) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys`, body });
  }
  describeKey(tenant: string, keyId: string) {
    return this.#keys.read(keyDescription, at`/v1/tenants/${tenant}/keys/${keyId}`);
  }
  listKeys(tenant: string, query: Partial<z.output<typeof listKeysQuery>> = {}) {
    return this.#keys.read(pageOf(keyDescription), at`/v1/tenants/${tenant}/keys`, query);
  }
  enableKey(tenant: string, keyId: string) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/enable` });
  }
  /** `service`: of a key that is kept for one, its name. */
  disableKey(tenant: string, keyId: string, body: z.input<typeof disableKeyRequest> = {}) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/disable`, body });
  }
  /** What the connected HSM can do. */
  describeCapabilities(tenant: string) {
    return this.#keys.read(capabilitiesAnswer, at`/v1/tenants/${tenant}/capabilities`);
  }
  /** The new one is primary. */
  createKeyVersion(tenant: string, keyId: string, body: z.input<typeof createKeyVersionRequest> = {}) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/versions`, body });
  }
  /** What will happen by the clock, the soonest first. */
  listCalendar(tenant: string, page: Page = {}) {
    return this.#keys.read(pageOf(calendarItem), at`/v1/tenants/${tenant}/calendar`, page);
  }
  keyRotation(tenant: string, keyId: string) {
    return this.#keys.read(keyRotation, at`/v1/tenants/${tenant}/keys/${keyId}/rotation`);
  }
  /** `replaces`: the version that was read, 0 for the first. @throws Conflict `precondition-failed` when another came between */
  putKeyRotation(tenant: string, keyId: string, body: z.input<typeof keyRotationRequest>, replaces: number) {
    const path = at`/v1/tenants/${tenant}/keys/${keyId}/rotation`;
    return this.#keys.change(keyRotation, { method: 'PUT', path, body, headers: ifReplacing(replaces) });
  }
  describePublicKey(tenant: string, keyId: string, query: { readonly keyVersionId?: string } = {}) {
    return this.#keys.read(publicKeyAnswer, at`/v1/tenants/${tenant}/keys/${keyId}/public-key`, query);
  }
  listKeyVersions(tenant: string, keyId: string, page: Page = {}) {
    return this.#keys.read(pageOf(keyVersionSummary), at`/v1/tenants/${tenant}/keys/${keyId}/versions`, page);
  }
  setKeyDescription(tenant: string, keyId: string, description: string) {
    return this.#keys.change(keyDescription, {
      method: 'PUT',
      path: at`/v1/tenants/${tenant}/keys/${keyId}/description`,
      body: { description },
    });
  }
  tagKey(tenant: string, keyId: string, tags: Readonly<Record<string, string>>) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/tag`, body: { tags } });
  }
  untagKey(tenant: string, keyId: string, names: readonly string[]) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/untag`, body: { names } });
  }
  setDeletionProtection(tenant: string, keyId: string, enabled: boolean, service?: string) {
    const path = at`/v1/tenants/${tenant}/keys/${keyId}/deletion-protection`;
    return this.#keys.change(keyDescription, { method: 'PUT', path, body: { enabled, ...(service !== undefined && { service }) } });
  }
  /** What breaks if it is disabled. */
  describeKeyUsage(tenant: string, keyId: string) {
    return this.#keys.read(keyUsageAnswer, at`/v1/tenants/${tenant}/keys/${keyId}/usage`);
  }
  scheduleKeyDeletion(tenant: string, keyId: string, body: z.input<typeof scheduleDeletionRequest> = {}) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/schedule-deletion`, body });
  }
  cancelKeyDeletion(tenant: string, keyId: string) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/cancel-deletion` });
  }
  /** Answered at once: the service carries it out (`Rewraps`), `watchOperation` tells how far it is. */
  startRewrap(tenant: string, keyId: string, body: z.input<typeof startRewrapRequest>) {
    return this.#keys.change(longOperation, { path: at`/v1/tenants/${tenant}/keys/${keyId}/rewraps`, body });
  }
  listOperations(tenant: string, page: Page = {}) {
    return this.#keys.read(pageOf(longOperation), at`/v1/tenants/${tenant}/operations`, page);
  }
  describeOperation(tenant: string, operationId: string) {
    return this.#keys.read(longOperation, at`/v1/tenants/${tenant}/operations/${operationId}`);
  }
  cancelOperation(tenant: string, operationId: string) {
    return this.#keys.change(longOperation, { path: at`/v1/tenants/${tenant}/operations/${operationId}/cancel` });
  }
  /** Of one that is over: `verifyCertificate` of the trail library checks it. */
  completionCertificate(tenant: string, operationId: string) {
    return this.#keys.read(completionCertificateAnswer, at`/v1/tenants/${tenant}/operations/${operationId}/certificate`);
  }
  versionReferences(tenant: string, keyId: string, keyVersionId: string) {
    return this.#keys.read(versionReferencesAnswer, at`/v1/tenants/${tenant}/keys/${keyId}/versions/${keyVersionId}/references`);
  }
  /** Only when there are no references, and no deletion protection. `service`: who the key is kept for, if it is. */
  retireKeyVersion(tenant: string, keyId: string, keyVersionId: string, { service }: { readonly service?: string } = {}) {
    const path = at`/v1/tenants/${tenant}/keys/${keyId}/versions/${keyVersionId}/retire`;
    return this.#keys.change(keyDescription, { path, body: { confirm: keyVersionId, ...(service !== undefined && { service }) } });
  }
  /** Each time it has moved, until it is over. */
  watchOperation(tenant: string, operationId: string) {
    return operationEvents(() => this.#keys.stream(at`/v1/tenants/${tenant}/operations/${operationId}/events`));
  }
  /** What is done by the clock. */
  listJobs(tenant: string) {
    return this.#keys.read(jobsAnswer, at`/v1/tenants/${tenant}/jobs`);
  }
  /** For operators: the key of the HSM that binds every row which gives authority. */
  describeBindingKey() {
    return this.#keys.read(bindingKeyAnswer, '/v1/binding-key');
  }
  rotateBindingKey() {
    return this.#keys.change(bindingKeyAnswer, { path: '/v1/binding-key/rotate' });
  }
  /** Databases of before the rotation are worth nothing after it. */
  retireBindingKey() {
    return this.#keys.change(bindingKeyAnswer, { path: '/v1/binding-key/retire' });
  }
  describeRoot(tenant: string) {
    return this.#keys.read(rootAnswer, at`/v1/tenants/${tenant}/root`);
  }
  rotateRoot(tenant: string) {
    return this.#keys.change(rootAnswer, { path: at`/v1/tenants/${tenant}/root/rotate` });
  }
  /** `statement` is signed by the tenant's log key: `verifyImportStatement` of the trail library checks it. */
  importParameters(tenant: string, keyId: string, body: z.input<typeof importParametersRequest>) {
    return this.#keys.change(importParametersAnswer, { path: at`/v1/tenants/${tenant}/keys/${keyId}/import-parameters`, body });
  }
  /** Bytes are base64. */
  importKeyMaterial(tenant: string, keyId: string, body: z.input<typeof importKeyMaterialRequest>) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/import`, body });
  }
  deleteImportedKeyMaterial(tenant: string, keyId: string) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/delete-material` });
  }
  shreddingReceipt(tenant: string, keyId: string) {
    return this.#keys.read(shreddingReceiptAnswer, at`/v1/tenants/${tenant}/keys/${keyId}/shredding-receipt`);
  }
  createAlias(tenant: string, body: z.input<typeof aliasTarget>) {
    return this.#keys.change(aliasAnswer, { path: at`/v1/tenants/${tenant}/aliases`, body });
  }
  /** To another key. */
  updateAlias(tenant: string, body: z.input<typeof aliasTarget>) {
    return this.#keys.change(aliasAnswer, { method: 'PUT', path: at`/v1/tenants/${tenant}/aliases`, body });
  }
  deleteAlias(tenant: string, alias: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/tenants/${tenant}/aliases?alias=${alias}` });
  }
  listAliases(tenant: string, query: Page & { readonly keyId?: string } = {}) {
    return this.#keys.read(pageOf(aliasAnswer), at`/v1/tenants/${tenant}/aliases`, query);
  }
  getPolicy(tenant: string) {
    return this.#keys.read(policyAnswer, at`/v1/tenants/${tenant}/policy`);
  }
  /** `replaces`: the version that was read, 0 for the first. @throws Conflict `precondition-failed` when another came between */
  putPolicy(tenant: string, document: z.input<typeof policyDocument>, replaces: number) {
    const path = at`/v1/tenants/${tenant}/policy`;
    return this.#keys.change(policyAnswer, { method: 'PUT', path, body: document, headers: ifReplacing(replaces) });
  }
  listPolicyVersions(tenant: string, page: Page = {}) {
    return this.#keys.read(pageOf(policyVersionSummary), at`/v1/tenants/${tenant}/policy/versions`, page);
  }
  getPolicyVersion(tenant: string, version: number) {
    return this.#keys.read(policyAnswer, at`/v1/tenants/${tenant}/policy/versions/${version}`);
  }
  /** Casbin CSV. */
  exportPolicy(tenant: string, version: number): Promise<string> {
    return this.#keys.readText(at`/v1/tenants/${tenant}/policy/versions/${version}/csv`);
  }
  /** `from` left out: the version in force; `to` left out: the draft; 0: no policy. */
  diffPolicy(tenant: string, query: z.input<typeof diffPolicyQuery> = {}) {
    return this.#keys.read(policyDiffAnswer, at`/v1/tenants/${tenant}/policy/diff`, query as Versions);
  }
  /** Publishes an old version again, as a new one. @throws Conflict `precondition-failed` */
  rollbackPolicy(tenant: string, version: number, replaces: number) {
    const path = at`/v1/tenants/${tenant}/policy/versions/${version}/rollback`;
    return this.#keys.change(policyAnswer, { path, headers: ifReplacing(replaces) });
  }
  lintPolicy(tenant: string, body: z.input<typeof policyText>) {
    return this.#keys.ask(lintAnswer, at`/v1/tenants/${tenant}/policy/lint`, body);
  }
  putPolicyDraft(tenant: string, body: z.input<typeof policyText>) {
    return this.#keys.change(policyDraftAnswer, { method: 'PUT', path: at`/v1/tenants/${tenant}/policy/draft`, body });
  }
  getPolicyDraft(tenant: string) {
    return this.#keys.read(policyDraftAnswer, at`/v1/tenants/${tenant}/policy/draft`);
  }
  discardPolicyDraft(tenant: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/tenants/${tenant}/policy/draft` });
  }
  validatePolicyDraft(tenant: string) {
    return this.#keys.read(validateDraftAnswer, at`/v1/tenants/${tenant}/policy/draft/validation`);
  }
  /** What the draft would have answered to the calls of the last days. */
  previewPolicyDraft(tenant: string, days = 30) {
    return this.#keys.read(previewAnswer, at`/v1/tenants/${tenant}/policy/draft/preview`, { days });
  }
  /**
   * `digest`: of the draft that was validated. `acknowledge`: the codes of the warnings that its author has seen.
   * @throws Conflict `precondition-failed`, InvalidCall with the rest
   */
  publishPolicyDraft(tenant: string, replaces: number, body: z.input<typeof publishDraftRequest>) {
    const path = at`/v1/tenants/${tenant}/policy/draft/publish`;
    return this.#keys.change(policyAnswer, { path, body, headers: ifReplacing(replaces) });
  }
  simulatePolicy(tenant: string, body: z.input<typeof simulateRequest>) {
    return this.#keys.ask(simulateAnswer, at`/v1/tenants/${tenant}/policy/simulate`, body);
  }
  whoCan(tenant: string, query: Page & { readonly keyId?: string; readonly secretId?: string; readonly operation?: string } = {}) {
    return this.#keys.read(pageOf(whoCanEntry), at`/v1/tenants/${tenant}/who-can`, query);
  }
  stop(tenant: string, body: z.input<typeof stopRequest>) {
    return this.#keys.change(stopAnswer, { path: at`/v1/tenants/${tenant}/stops`, body });
  }
  /** With its receipt, signed as soon as a checkpoint covers it. */
  getStop(tenant: string, stopId: string) {
    return this.#keys.read(stopAnswer, at`/v1/tenants/${tenant}/stops/${stopId}`);
  }
  lift(tenant: string, stopId: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/tenants/${tenant}/stops/${stopId}` });
  }
  /** How long records are kept at least. */
  setRetention(tenant: string, body: z.input<typeof retentionRequest>) {
    return this.#keys.change(retentionAnswer, { method: 'PUT', path: at`/v1/tenants/${tenant}/log/retention`, body });
  }
  /** Records below `minIndex` go, when the retention is over and `exported` is a checkpoint over them. */
  pruneRecords(tenant: string, body: z.input<typeof pruneRequest>) {
    return this.#keys.change(pruneAnswer, { path: at`/v1/tenants/${tenant}/log/prune`, body });
  }
  /** The next key of the tenant's log, recorded in it; the older one goes on signing beside it for a while. */
  rotateLogKey(tenant: string, body: z.input<typeof rotateLogKeyRequest> = {}) {
    return this.#keys.change(logKeyAnswer, { path: at`/v1/tenants/${tenant}/log/keys`, body });
  }
  listStops(tenant: string, page: Page = {}) {
    return this.#keys.read(pageOf(stopAnswer), at`/v1/tenants/${tenant}/stops`, page);
  }

  /** Where records go besides the log. */
  createSink(tenant: string, body: z.input<typeof createSinkRequest>) {
    return this.#keys.change(sinkAnswer, { path: at`/v1/tenants/${tenant}/sinks`, body });
  }
  listSinks(tenant: string, page: Page = {}) {
    return this.#keys.read(pageOf(sinkAnswer), at`/v1/tenants/${tenant}/sinks`, page);
  }
  describeSink(tenant: string, sinkId: string) {
    return this.#keys.read(sinkAnswer, at`/v1/tenants/${tenant}/sinks/${sinkId}`);
  }
  updateSink(tenant: string, sinkId: string, body: z.input<typeof updateSinkRequest>) {
    return this.#keys.change(sinkAnswer, { method: 'PATCH', path: at`/v1/tenants/${tenant}/sinks/${sinkId}`, body });
  }
  deleteSink(tenant: string, sinkId: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/tenants/${tenant}/sinks/${sinkId}` });
  }
  /** Asks for a try; `test` of `describeSink` tells how it went. */
  testSink(tenant: string, sinkId: string) {
    return this.#keys.change(sinkAnswer, { path: at`/v1/tenants/${tenant}/sinks/${sinkId}/test` });
  }
  erasePersonalFields(tenant: string, body: z.input<typeof erasePersonalFieldsRequest>) {
    return this.#keys.change(erasureAnswer, { path: at`/v1/tenants/${tenant}/privacy/erasures`, body });
  }

  // A tenant's auditors
  listRecords(tenant: string, filter: RecordsFilter = {}) {
    return this.#audit.read(recordsAnswer, at`/v1/tenants/${tenant}/records`, filter);
  }
  /** The signed note, as text. */
  checkpoint(tenant: string): Promise<string> {
    return this.#audit.readText(at`/v1/tenants/${tenant}/checkpoint`);
  }
  /** C2SP tlog-proof, as text. */
  recordProof(tenant: string, seq: number): Promise<string> {
    return this.#audit.readText(at`/v1/tenants/${tenant}/records/${seq}/proof`);
  }
  consistency(tenant: string, sizes: { readonly from: number; readonly to?: number }) {
    return this.#audit.read(consistencyAnswer, at`/v1/tenants/${tenant}/consistency`, sizes);
  }
  recordStats(tenant: string, query: { readonly interval: string; readonly from: string; readonly to: string; readonly keyId?: string }) {
    return this.#audit.read(statsAnswer, at`/v1/tenants/${tenant}/stats`, query);
  }
  keyInventory(tenant: string, page: Page = {}) {
    return this.#audit.read(pageOf(inventoryItem), at`/v1/tenants/${tenant}/key-inventory`, page);
  }
  /** For auditors; admins ask `shreddingReceipt`. */
  readShreddingReceipt(tenant: string, keyId: string) {
    return this.#audit.read(shreddingReceiptAnswer, at`/v1/tenants/${tenant}/keys/${keyId}/shredding-receipt`);
  }
  policyHistory(tenant: string, query: { readonly beforeVersion?: number; readonly limit?: number } = {}) {
    return this.#audit.read(policyHistoryAnswer, at`/v1/tenants/${tenant}/policy-history`, query);
  }
  /** How each key was used under the values of a label; without `values`, those that the policy in force names. */
  coverage(tenant: string, { values, ...query }: { readonly name?: string; readonly values?: readonly string[] } = {}) {
    const named = { ...query, ...(values !== undefined && { values: values.join(',') }) };
    return this.#audit.read(coverageAnswer, at`/v1/tenants/${tenant}/coverage`, named);
  }
  /** What services may still hold; `cursor` from the page before. */
  leases(tenant: string, query: Page & { readonly keyId?: string; readonly principal?: string } = {}) {
    return this.#audit.read(leasesAnswer, at`/v1/tenants/${tenant}/leases`, query);
  }
  listCheckpoints(
    tenant: string,
    { spread, ...query }: { readonly beforeSize?: number; readonly limit?: number; readonly spread?: boolean } = {},
  ) {
    return this.#audit.read(checkpointsAnswer, at`/v1/tenants/${tenant}/checkpoints`, {
      ...query,
      ...(spread === true && { spread: 'true' }),
    });
  }
  log(tenant: string) {
    return this.#audit.read(logAnswer, at`/v1/tenants/${tenant}/log`);
  }
  /** The whole log, read tile by tile as it is verified: for `verifyLog` of the trail library. */
  async tiledLog(tenant: string): Promise<Bundle> {
    return tiledLog(await this.logHead(tenant), (path) => this.tile(tenant, path));
  }
  /** The newest checkpoint, smaller ones spread over the log, and its keys as the ISV tells them. */
  async logHead(tenant: string): Promise<Omit<Bundle, 'tiles'>> {
    const checkpoint = await this.checkpoint(tenant);
    const { vkeys, rotations, minIndex } = await this.log(tenant);
    const { items } = await this.listCheckpoints(tenant, {
      beforeSize: Number(parseCheckpoint(checkpoint).size),
      limit: 1000,
      spread: true,
    });
    return { checkpoint, vkeys, rotations, minIndex, checkpoints: items.map(({ note }) => note).reverse() };
  }
  /** By its path (C2SP tlog-tiles); undefined where there is none. */
  async tile(tenant: string, path: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#audit.readBytes(`${at`/v1/tenants/${tenant}`}/${path}`);
    } catch (error) {
      if (error instanceof KeywardError && error.code === 'not-found') return undefined;
      throw error;
    }
  }
  /** The tar that `keyward verify` reads, as a stream. */
  bundle(tenant: string): Promise<Readable> {
    return this.#audit.stream(at`/v1/tenants/${tenant}/bundle`);
  }
}

type Versions = { readonly from?: number; readonly to?: number };

const ifReplacing = (version: number): Record<string, string> =>
  version === 0 ? { 'if-none-match': '*' } : { 'if-match': `"${version}"` };
