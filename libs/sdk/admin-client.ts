import type { Readable } from 'node:stream';
import { z } from 'zod';
import {
  aliasAnswer,
  type createAliasRequest,
  type createKeyRequest,
  credentialSummary,
  enrolAnswer,
  type enrolRequest,
  type issueCredentialRequest,
  issuedCredential,
  type issueServiceCredentialRequest,
  keyDescription,
  type listRecordsQuery,
  onboardTenantAnswer,
  type onboardTenantRequest,
  type pageQuery,
  policyAnswer,
  type policyDocument,
  recordsAnswer,
  type registerServiceRequest,
  serviceSummary,
  stopAnswer,
  type stopRequest,
  tenantSummary,
} from '#contract';
import { PlaneCalls } from './plane-calls.js';
import type { Patience } from './retries.js';
import { type Connection, Transport } from './transport.js';

export const DEFAULT_KEY_PLANE = 'http://127.0.0.1:7710';
export const DEFAULT_AUDITOR = 'http://127.0.0.1:7730';

export interface KeywardAdminOptions extends Partial<Patience>, Partial<Omit<Connection, 'url' | 'keepAlive'>> {
  /** An operator's, admin's or auditor's credential; or an enrolment code, which may do nothing but enrol. */
  readonly apiKey: string;
  readonly keyPlane?: string | undefined;
  readonly auditor?: string | undefined;
}

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

  constructor({ apiKey, keyPlane = DEFAULT_KEY_PLANE, auditor = DEFAULT_AUDITOR, ca, allowPlainHttp, ...patience }: KeywardAdminOptions) {
    // No kept connection: a change must not be lost on one that the server has just closed, for it is not sent again.
    const to = (url: string) => new PlaneCalls(new Transport({ url, ca, allowPlainHttp, keepAlive: false }), apiKey, patience);
    this.#keys = to(keyPlane);
    this.#audit = to(auditor);
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
  listKeys(tenant: string, page: Page = {}) {
    return this.#keys.read(pageOf(keyDescription), at`/v1/tenants/${tenant}/keys`, page);
  }
  enableKey(tenant: string, keyId: string) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/enable` });
  }
  disableKey(tenant: string, keyId: string) {
    return this.#keys.change(keyDescription, { path: at`/v1/tenants/${tenant}/keys/${keyId}/disable` });
  }
  createAlias(tenant: string, body: z.input<typeof createAliasRequest>) {
    return this.#keys.change(aliasAnswer, { path: at`/v1/tenants/${tenant}/aliases`, body });
  }
  getPolicy(tenant: string) {
    return this.#keys.read(policyAnswer, at`/v1/tenants/${tenant}/policy`);
  }
  /** `replaces`: the version that was read, 0 for the first. @throws Conflict `precondition-failed` when another came between */
  putPolicy(tenant: string, document: z.input<typeof policyDocument>, replaces: number) {
    const headers: Record<string, string> = replaces === 0 ? { 'if-none-match': '*' } : { 'if-match': `"${replaces}"` };
    return this.#keys.change(policyAnswer, { method: 'PUT', path: at`/v1/tenants/${tenant}/policy`, body: document, headers });
  }
  stop(tenant: string, body: z.input<typeof stopRequest>) {
    return this.#keys.change(stopAnswer, { path: at`/v1/tenants/${tenant}/stops`, body });
  }
  lift(tenant: string, stopId: string) {
    return this.#keys.changeOnly({ method: 'DELETE', path: at`/v1/tenants/${tenant}/stops/${stopId}` });
  }
  listStops(tenant: string, page: Page = {}) {
    return this.#keys.read(pageOf(stopAnswer), at`/v1/tenants/${tenant}/stops`, page);
  }

  // A tenant's auditors
  listRecords(tenant: string, filter: RecordsFilter = {}) {
    return this.#audit.read(recordsAnswer, at`/v1/tenants/${tenant}/records`, filter);
  }
  /** The signed note, as text. */
  checkpoint(tenant: string): Promise<string> {
    return this.#audit.readText(at`/v1/tenants/${tenant}/checkpoint`);
  }
  /** The tar that `keyward verify` reads, as a stream. */
  bundle(tenant: string): Promise<Readable> {
    return this.#audit.stream(at`/v1/tenants/${tenant}/bundle`);
  }
}

/** A path whose parts cannot leave their place. */
const at = (parts: TemplateStringsArray, ...names: readonly string[]) => String.raw({ raw: parts }, ...names.map(encodeURIComponent));
