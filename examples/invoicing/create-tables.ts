import type { MigrationInterface, QueryRunner } from 'typeorm';

/** An encrypted column is a bytea; a blind index is one too, with an index of the database on it. */
export class CreateTables1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE keyward_index_key (tenant text, field text, version int, sealed bytea NOT NULL, PRIMARY KEY (tenant, field, version));
      CREATE TABLE customer (
        id uuid PRIMARY KEY, tenant text NOT NULL, name bytea NOT NULL, iban bytea NOT NULL, iban_index bytea, phone text
      );
      CREATE INDEX customer_by_iban ON customer (tenant, iban_index);
      CREATE TABLE invoice (
        id uuid PRIMARY KEY, tenant text NOT NULL, customer_id uuid NOT NULL REFERENCES customer,
        cents int NOT NULL, paid boolean NOT NULL DEFAULT false, text bytea NOT NULL
      );
      CREATE INDEX invoice_by_tenant ON invoice (tenant);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE invoice; DROP TABLE customer; DROP TABLE keyward_index_key');
  }
}
