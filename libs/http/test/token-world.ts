import { createSecretKey } from 'node:crypto';
import { Controller, Get, Post } from '@nestjs/common';
import type { OperationName, PrincipalName, ServicePublicKey, TenantId } from '#contract';
import {
  type Call,
  Credentials,
  type CredentialOrder,
  issueCredential,
  Permit,
  Pipeline,
  type RuleStore,
  type StoredCredential,
  type StoredIdentityProvider,
} from '#core';
import type { AcceptedTokens } from '../authentication.js';
import { Calling, Operation, type PlaneParts } from '../index.js';
import { FakePlane } from './fake-plane.js';

export const ACME = 'acme' as TenantId;
export const GLOBEX = 'globex' as TenantId;
const PLATFORM = 'platform' as TenantId;

@Controller('v1')
class Routes {
  constructor(private readonly pipeline: Pipeline<OperationName>) {}

  @Get('tenants')
  @Operation('ListTenants')
  tenants(@Calling() call: Call) {
    return this.pipeline.run('ListTenants', call, { limit: 1 });
  }

  @Get('tenants/:tenant/keys')
  @Operation('ListKeys')
  keys(@Calling() call: Call) {
    return this.pipeline.run('ListKeys', call, { limit: 1 });
  }

  @Post('tenants/:tenant/encrypt')
  @Operation('Encrypt')
  encrypt(@Calling() call: Call) {
    return this.pipeline.run('Encrypt', call, {} as never);
  }
}

/** A plane over core's own credentials, which read rules that the test holds; its clock may be put ahead. */
export class TokenWorld {
  readonly providers = new Map<TenantId, StoredIdentityProvider>();
  readonly #stored: StoredCredential[] = [];
  readonly #custody = { bindRule: async () => new Uint8Array(32) };
  readonly #pepper = createSecretKey(Buffer.alloc(32, 7));
  aheadMs = 0;
  reads = 0;
  plane!: FakePlane;

  static async start(tokens: AcceptedTokens, parts: Partial<PlaneParts> = {}): Promise<TokenWorld> {
    const world = new TokenWorld();
    const credentials = new Credentials(world.#rules, world.#pepper, world.clock);
    world.plane = await FakePlane.start({ credentials, tokens, clock: world.clock, controllers: [Routes], ...parts });
    return world;
  }

  readonly clock = { now: () => new Date(Date.now() + this.aheadMs) };

  get nowSeconds(): number {
    return Math.floor(this.clock.now().getTime() / 1000);
  }

  readonly #rules: Pick<RuleStore, 'credential' | 'credentialOfSubject' | 'identityProvider'> = {
    credential: async (tenant, id) => this.#found((one) => one.tenant === tenant && one.credentialId === id),
    credentialOfSubject: async (tenant, subject) => this.#found((one) => one.tenant === tenant && one.subject === subject),
    identityProvider: async (tenant) => {
      const provider = this.providers.get(tenant);
      return provider && { epoch: 'e1', provider };
    },
  };

  trust(tenant: TenantId, provider: Pick<StoredIdentityProvider, 'issuer' | 'audience' | 'jwksUri'>, version = `${tenant}-1`): void {
    const stored = { algorithms: ['RS256' as const], changedBy: 'alice', changedAt: '2026-01-01T00:00:00Z', mac: new Uint8Array(32) };
    this.providers.set(tenant, { ...stored, ...provider, version });
  }

  async enrolPerson(tenant: TenantId, principal: string, subject: string): Promise<void> {
    const { issuer } = this.providers.get(tenant)!;
    await this.#issue({ tenant, principal: principal as PrincipalName, role: 'admin', days: 30, person: { subject, issuer } });
  }

  async enrolService(principal: string, publicKey?: ServicePublicKey) {
    const order = { tenant: PLATFORM, principal: principal as PrincipalName, role: 'service' as const, days: 30 };
    return await this.#issue({ ...order, ...(publicKey && { publicKey }) });
  }

  async ask(method: 'GET' | 'POST', url: string, bearer: string): Promise<number> {
    const answer = await this.plane.ask(method, url, undefined, { headers: { authorization: `Bearer ${bearer}` } });
    return answer.statusCode;
  }

  /** Of the call that the pipeline saw last. */
  get caller(): { readonly tenant: TenantId; readonly name: string; readonly authMethod: string } {
    const { tenant, name, authMethod } = this.plane.pipeline.ran.at(-1)!.call.principal;
    return { tenant, name, authMethod };
  }

  async #issue(order: CredentialOrder) {
    const permit = new Permit({ operation: 'IssueCredential', tenant: order.tenant });
    const { answer, row } = await issueCredential({ pepper: this.#pepper, custody: this.#custody }, permit, order, Date.now() - 1000);
    this.#stored.push({ ...row, revokedAt: undefined });
    return answer;
  }

  #found(fits: (one: StoredCredential) => boolean) {
    this.reads++;
    const credential = this.#stored.find(fits);
    return credential && { epoch: 'e1', credential };
  }
}
