import { beginWaitsAnew } from '../../libs/persistence/backup/waits.js';
import { tableShapes } from '../../libs/persistence/backup/snapshot.js';
import type { SecretName } from '#contract';
import { ACME, KeyWorld } from './key-world.js';

describe('what waited for its end when a backup was made', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  it('waits for seven days more at least, since nobody knows whether that was cancelled; of an older schema too', async () => {
    const [soon, late] = [await world.create(), await world.create()];
    for (const [{ keyId }, pendingDays] of [[soon, 7] as const, [late, 30] as const])
      await world.admin('ScheduleKeyDeletion', { keyId, pendingDays });
    const secret = { name: 'app/db' as SecretName, keyId: (await world.create()).keyId, type: 'generic', description: '' } as const;
    const { secretId } = await world.admin('CreateSecret', { ...secret, format: 'text', value: Buffer.from('x') });
    await world.admin('DeleteSecret', { secretId, force: false, recoveryDays: 7 });
    await world.admin('AgreeToOffBoarding', { confirm: ACME });
    await world.operator('OffBoardTenant', { leaving: ACME, days: 7, reason: '' });
    await world.database.as('superuser', async (client) => {
      const due = async () =>
        (
          await client.query(`SELECT (SELECT count(*)::integer FROM keyward.due_deletions(NULL, NULL)) AS keys,
            (SELECT count(*)::integer FROM keyward.due_purges(NULL, NULL)) AS secrets,
            (SELECT count(*)::integer FROM keyward.due_off_boardings(NULL)) AS tenants`)
        ).rows[0];
      // Eight days later.
      await client.query(`BEGIN; SET LOCAL session_replication_role = replica`);
      for (const text of [
        `cmk SET deletion_at = deletion_at - interval '8 days' WHERE state = 'PendingDeletion'`,
        `secret SET deletion_at = deletion_at - interval '8 days'`,
        `off_boarding SET begun_at = begun_at - interval '8 days', ends_at = ends_at - interval '8 days'`,
      ])
        await client.query(`UPDATE keyward.${text}`);
      expect(await due()).toEqual({ keys: 1, secrets: 1, tenants: 1 });
      const tables = await tableShapes(client);
      await beginWaitsAnew(
        client,
        tables.filter(({ table }) => table !== 'off_boarding'),
      );
      expect(await due()).toEqual({ keys: 0, secrets: 0, tenants: 1 });
      await beginWaitsAnew(client, tables);
      expect(await due()).toEqual({ keys: 0, secrets: 0, tenants: 0 });
      const { rows } = await client.query(
        `SELECT key_id, round(extract(epoch FROM deletion_at - clock_timestamp()) / 86400)::integer AS days FROM keyward.cmk WHERE state = 'PendingDeletion'`,
      );
      expect(Object.fromEntries(rows.map(({ key_id, days }) => [key_id, days]))).toEqual({ [soon.keyId]: 7, [late.keyId]: 22 });
      await client.query('ROLLBACK');
    });
  });
});
