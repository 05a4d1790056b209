import type { MigrationInterface, QueryRunner } from 'typeorm';
import { dueRotations } from './0086-automatic-rotation.js';
import { replaced } from './row-security.js';

/** Of one tenant at once: one change of its rules, whose records are appended while nobody else's are. */
const LOT = 32;

/** A look finds one key of each tenant, so that no tenant's fill the queue; whoever then asks for the tenant gets a lot of them. */
export class LotsOfDueKeys implements MigrationInterface {
  readonly name = 'LotsOfDueKeys0000000000200';

  async up(runner: QueryRunner): Promise<void> {
    const found = `(of_key = r.key_id OR of_key IS NULL AND NOT keyward.job_rests('rotate-key', r.tenant_id, r.key_id))`;
    await runner.query(replaced(dueRotations(`CASE WHEN of_tenant IS NULL THEN 1 ELSE ${LOT} END`, found)));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(replaced(dueRotations()));
  }
}
