import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource, type EntityTarget, type ObjectLiteral } from 'typeorm';
import { openDataDir, removeDataDir } from '../../../runtime/embedded/data-dir.js';
import { EmbeddedPostgres } from '../../../runtime/embedded/postgres.js';
import { KeywardClient } from '../../client.js';
import { Sealed } from '../../sealed.js';
import { FakeDataPlane } from '../../test/fake-data-plane.js';
import { BlindIndexKey } from '../blind-index.js';
import type { SealingOptions } from '../options.js';
import { Sealing } from '../sealing.js';
import { Customer, Order } from './customer.js';

/** A service's own database on a real server, and a data plane whose answers a test can script. */
export class SealingWorld {
  /** Statements with their parameters, as TypeORM logs them. */
  readonly statements: string[] = [];
  sealing!: Sealing;
  source!: DataSource;
  plane!: FakeDataPlane;
  private client!: KeywardClient;

  private constructor(
    private readonly path: string,
    private readonly server: EmbeddedPostgres,
  ) {}

  static async start(): Promise<SealingWorld> {
    const path = mkdtempSync(join(tmpdir(), 'kw-orm-'));
    return new SealingWorld(path, await EmbeddedPostgres.start({ dataDir: openDataDir(path) }));
  }

  /** A fresh schema and data plane. */
  async begin(
    options: Partial<SealingOptions> = {},
    entities: EntityTarget<ObjectLiteral>[] = [Customer, Order, BlindIndexKey],
  ): Promise<void> {
    this.plane = await FakeDataPlane.start();
    this.client = new KeywardClient({ apiKey: 'kw_platform_x', url: this.plane.url, backoffMs: 1 });
    const logQuery = (query: string, parameters?: unknown[]) => void this.statements.push(`${query} ${JSON.stringify(parameters)}`);
    this.source = await new DataSource({
      type: 'postgres',
      url: this.server.superuserUrl(),
      entities: entities as never[],
      // Tests make their tables so; a service writes migrations.
      synchronize: true,
      dropSchema: true,
      logging: true,
      logger: { logQuery, logQueryError: logQuery as never, logQuerySlow() {}, logSchemaBuild() {}, logMigration() {}, log() {} },
    }).initialize();
    this.sealing = this.another(options);
  }

  another(options: Partial<SealingOptions> = {}): Sealing {
    return new Sealing(this.source, { client: this.client, tenant: 'tenant', keyId: 'alias/customers', ...options });
  }

  async end(): Promise<void> {
    this.sealing.close();
    await this.source.destroy();
    this.client.close();
    await this.plane.close();
  }

  async stop(): Promise<void> {
    await this.server.stop('immediate');
    removeDataDir(this.path);
  }

  /** As the database has it. */
  async raw(id: string): Promise<Record<string, Buffer | null>> {
    const [row] = await this.source.query<Record<string, Buffer | null>[]>('select * from customer where id = $1', [id]);
    return row!;
  }

  customer(more: Partial<Customer> = {}): Customer {
    const fresh = this.source.manager.create(Customer, { tenant: 'acme', name: Sealed.of('Ada'), iban: Sealed.of('DE02 1001') });
    return Object.assign(fresh, more);
  }

  async saved(more: Partial<Customer> = {}): Promise<Customer> {
    return await this.source.manager.save(this.customer(more));
  }

  async loaded(id: string): Promise<Customer> {
    return await this.source.manager.findOneByOrFail(Customer, { id });
  }
}
