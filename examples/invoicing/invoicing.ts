import { DataSource } from 'typeorm';
import { KeywardClient, RuleListener, Sealed } from '#sdk';
import { BlindIndexKey, Sealing } from '#sdk/typeorm';
import { CreateTables1700000000000 } from './create-tables.js';
import { Customer, Invoice } from './entities.js';
import type { Settings } from './settings.js';

export interface NewCustomer {
  readonly name: string;
  readonly iban: string;
  readonly phone?: string | undefined;
}

export interface NewInvoice {
  readonly customerId: string;
  readonly cents: number;
  readonly text: string;
}

/** What the service does for its tenants. Nothing here encrypts: the entities' columns do. */
export class Invoicing {
  readonly #listeners = new Map<string, RuleListener>();

  private constructor(
    readonly source: DataSource,
    readonly sealing: Sealing,
    private readonly client: KeywardClient,
  ) {}

  static async open({ databaseUrl, keywardUrl, apiKey }: Settings): Promise<Invoicing> {
    const source = new DataSource({
      type: 'postgres',
      url: databaseUrl,
      entities: [Customer, Invoice, BlindIndexKey],
      migrations: [CreateTables1700000000000],
      migrationsRun: true,
    });
    await source.initialize();
    // Little patience: an invoice list should rather show what is sealed than wait.
    const client = new KeywardClient({ apiKey, url: keywardUrl, attempts: 2, totalMs: 3_000 });
    const sealing = new Sealing(source, { client, tenant: 'tenant', keyId: 'alias/customers' });
    return new Invoicing(source, sealing, client);
  }

  async addCustomer(tenant: string, { name, iban, phone = null }: Omit<NewCustomer, 'phone'> & { phone?: string | null | undefined }) {
    this.#listenTo(tenant);
    const { manager } = this.source;
    return await manager.save(manager.create(Customer, { tenant, name: Sealed.of(name), iban: Sealed.of(iban), phone }));
  }

  async customers(tenant: string, iban?: string): Promise<Customer[]> {
    this.#listenTo(tenant);
    const where = iban === undefined ? { tenant } : await this.sealing.index(Customer, 'iban').equal(tenant, iban);
    return await this.source.manager.findBy(Customer, where);
  }

  async addInvoice(tenant: string, { customerId, cents, text }: NewInvoice): Promise<Invoice> {
    this.#listenTo(tenant);
    const { manager } = this.source;
    const customer = await manager.findOneByOrFail(Customer, { tenant, id: customerId });
    return await manager.save(manager.create(Invoice, { tenant, customer, cents, text: Sealed.of(text) }));
  }

  async invoices(tenant: string): Promise<Invoice[]> {
    this.#listenTo(tenant);
    return await this.source.manager.find(Invoice, { where: { tenant }, relations: { customer: true }, order: { id: 'ASC' } });
  }

  /** Works while the tenant has stopped the service: what is sealed is written back as it was. */
  async markPaid(tenant: string, id: string): Promise<Invoice> {
    const invoice = await this.source.manager.findOneOrFail(Invoice, { where: { tenant, id }, relations: { customer: true } });
    return await this.source.manager.save(Object.assign(invoice, { paid: true }));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#listeners.values()].map((listener) => listener.close()));
    this.sealing.close();
    this.client.close();
    await this.source.destroy();
  }

  /** From the first request of a tenant on, its stops wipe the data keys that are held here. */
  #listenTo(tenant: string): void {
    if (!this.#listeners.has(tenant)) this.#listeners.set(tenant, new RuleListener([this.client], tenant, [this.sealing]));
  }
}
