import { DISCLOSURE_NAMES, trailRecord } from '#contract';
import { type Change, disclose, type PersonalFields, StaleSnapshot, type TrailEntry } from '#core';
import { type AuditorStore, type KeyPlaneStore, openAuditorStore, openKeyPlaneStore } from './stores.js';
import { anEntry, epochsOf, TestDatabase, type TestTenant } from './test-database.js';

const actor = { type: 'auditor' as const, principal: 'otto', authMethod: 'api-key' as const };

describe("an auditor's own reads", () => {
  let database: TestDatabase;
  let tenants: Map<string, TestTenant>;
  let auditor: AuditorStore;
  let replica: AuditorStore;

  beforeAll(async () => {
    database = await TestDatabase.start();
    tenants = await database.addTenants('platform', 'acme', 'globex', 'initech', 'umbrella', 'hooli', 'initrode');
    [auditor, replica] = [
      await openAuditorStore(database.settings('keyward_auditor')),
      await openAuditorStore(database.settings('keyward_auditor')),
    ];
  });
  afterAll(async () => {
    await Promise.all([auditor, replica].map((store) => store?.close()));
    await database.stop();
  });

  const sql = (text: string) => database.as('superuser', (client) => client.query(text));
  const readOf = async (name: string, op: TrailEntry['body']['op'] = 'GetTile'): Promise<TrailEntry> => {
    const owner = tenants.get(name)!;
    const epochs = await database.as('superuser', (client) => epochsOf(client, name));
    const { tenant, credentialId } = owner;
    return anEntry(owner, epochs, op, { category: 'audit', actor: { ...actor, tenant, credentialId } });
  };
  const minuteIsOver = () => sql(`UPDATE keyward.read_count SET minute = minute - interval '1 minute'`);
  const recordsOf = async (name: string) => {
    const { rows } = await sql(`SELECT bytes FROM keyward.trail_record WHERE tenant_id = '${name}' ORDER BY seq`);
    return rows.map(({ bytes }: { bytes: Buffer }) => trailRecord.parse(JSON.parse(bytes.toString())));
  };

  it('are one record a minute, credential and operation, with their exact count, whoever counts and records', async () => {
    const [tile, log] = [await readOf('acme'), await readOf('acme', 'GetLog')];
    const counted = await Promise.all(
      Array.from({ length: 300 }, (_, i) => (i % 2 === 0 ? auditor : replica).readCounter.count(i % 3 === 0 ? log : tile)),
    );
    expect(counted.every(({ verdict }) => verdict === 'counted')).toBe(true);
    await auditor.readCounter.recordReads();
    expect(await recordsOf('acme')).toEqual([]);
    await minuteIsOver();
    await Promise.all([auditor, replica].map((store) => store.readCounter.recordReads()));
    await auditor.readCounter.recordReads();
    const records = await recordsOf('acme');
    expect(records.map(({ op, count }) => `${op} ${count}`).sort()).toEqual(['GetLog 100', 'GetTile 200']);
    expect(records[0]).toMatchObject({ writer: 'keyward_auditor', outcome: 'succeeded', actor: { principal: 'otto' } });
    expect((await sql('SELECT FROM keyward.read_count')).rowCount).toBe(0);
  });

  it.each(['tenant', 'platform'] as const)('are not counted under another epoch of the %s', async (whose) => {
    const entry = await readOf('globex');
    const stale = { ...entry, epochs: { ...entry.epochs, [whose]: '00000000-0000-4000-8000-000000000000' } };
    expect(await auditor.readCounter.count(stale)).toEqual({ verdict: 'stale' });
    expect(await auditor.readCounter.count({ ...entry, validUntil: new Date(Date.now() - 1) })).toEqual({ verdict: 'expired' });
  });

  it('are counted for no operation of another plane', async () => {
    await expect(auditor.readCounter.count(await readOf('globex', 'Stop'))).rejects.toMatchObject({
      reason: 'trail: reads not counted: KW003',
    });
  });

  it('stay counted while the head is held, and are recorded afterwards', async () => {
    await auditor.readCounter.count(await readOf('initech'));
    await minuteIsOver();
    const admin = await database.session('superuser');
    await admin.query(`BEGIN; SELECT FROM keyward.tenant_head WHERE tenant_id = 'initech' FOR UPDATE`);
    expect(await auditor.readCounter.recordReads()).toBe(false);
    expect(await recordsOf('initech')).toEqual([]);
    await admin.query('ROLLBACK');
    await admin.end();
    expect(await auditor.readCounter.recordReads()).toBe(true);
    expect(await recordsOf('initech')).toMatchObject([{ op: 'GetTile', count: 1 }]);
  });

  describe('whose personal fields are erased', () => {
    const FIELDS = ['sourceIp', 'userAgent', 'userName'] as const;
    let plane: KeyPlaneStore;
    beforeAll(async () => {
      plane = await openKeyPlaneStore(database.settings('keyward_key_plane'));
    });
    afterAll(() => plane?.close());

    /** Anna's name, and where otto called from. */
    const counted = async (name: string) => {
      const disclosures = FIELDS.map((field) => disclose(field, field === 'userName' ? 'anna' : 'otto', field));
      const entry = await readOf(name);
      const body = { ...entry.body, _sd: disclosures.map(({ digest }) => digest), _sd_alg: 'sha-256' as const };
      expect(await auditor.readCounter.count({ ...entry, body, disclosures })).toEqual({ verdict: 'counted' });
    };
    const shown = async (name: string) =>
      (await sql(`SELECT name FROM keyward.trail_disclosure WHERE tenant_id = '${name}' ORDER BY 1`)).rows.map((row) => String(row.name));
    const ofOtto = { fromSeq: 0, abouts: ['otto'], fields: DISCLOSURE_NAMES };
    const count = async (name: string, more: Partial<Omit<PersonalFields, 'sharedFrom'>> = {}) =>
      (await plane.uses.personalFields(tenants.get(name)!.tenant, { ...ofOtto, ...more })).count;
    const erase = async (name: string, expected: number, more: Partial<PersonalFields> = {}) => {
      const { validUntil, tenant, body } = await readOf(name, 'ErasePersonalFields');
      const { credentialId } = tenants.get(name)!;
      const epochs = await database.as('superuser', (client) => epochsOf(client, name));
      const apply: Change['apply'] = (writes) => writes.erasePersonalFields({ ...ofOtto, sharedFrom: 0, ...more }, expected);
      return (await plane.changes.commit({ tenant, epochs, validUntil, body, credential: { tenant, credentialId }, apply })).verdict;
    };

    it('carry none of those, and the others, once they are recorded', async () => {
      await counted('hooli');
      // A range that ends holds no read that has no place yet.
      expect([await count('hooli'), await count('hooli', { fields: ['userAgent'] }), await count('hooli', { toSeq: 9 })]).toEqual([
        2, 1, 0,
      ]);
      expect(await erase('hooli', 3)).toBe('stale');
      expect(await erase('hooli', 2)).toBe('durable');
      await minuteIsOver();
      await auditor.readCounter.recordReads();
      expect((await recordsOf('hooli')).at(-1)).toMatchObject({ op: 'GetTile', count: 1, _sd: expect.any(Array) as unknown });
      expect(await shown('hooli')).toEqual(['userName']);
      expect([await count('hooli', { abouts: ['anna'] }), await erase('hooli', 1, { abouts: undefined })]).toEqual([1, 'durable']);
      expect(await shown('hooli')).toEqual([]);
    });

    it('carry none of those when they are recorded at that very moment', async () => {
      for (let time = 0; time < 3; time++) {
        await counted('initrode');
        await minuteIsOver();
        const expected = await count('initrode');
        const [verdict] = await Promise.all([erase('initrode', expected), auditor.readCounter.recordReads()]);
        expect(verdict).toBe('durable');
        while (!(await auditor.readCounter.recordReads()));
        expect([await count('initrode'), await shown('initrode')]).toEqual([0, Array.from({ length: time + 1 }, () => 'userName')]);
      }
    });
  });

  it('end with the credential, in the statement that reads', async () => {
    const owner = tenants.get('umbrella')!;
    const { auditReads, readCounter } = auditor;
    const entry = await readOf('umbrella');
    const [stream, reads] = [auditReads.entries(owner, 0n, 1n), () => auditReads.records(owner, { fromSeq: 0, limit: 1 })];
    await expect(reads()).resolves.toMatchObject({ size: 0 });
    await sql(`UPDATE keyward.credential SET revoked_at = now() WHERE tenant_id = 'umbrella'`);
    expect(await readCounter.count(entry)).toEqual({ verdict: 'stale' });
    for (const read of [
      reads,
      () => auditReads.checkpoint(owner),
      () => auditReads.checkpoints(owner, { limit: 1, spread: false }),
      () => auditReads.checkpoints(owner, { limit: 1, spread: true }),
      () => auditReads.tileEntries(owner, 0, 1),
      () => auditReads.tileHashes(owner, 0, 0, 1),
      () => auditReads.tileHashes(owner, 1, 0, 1),
      () => stream[Symbol.asyncIterator]().next(),
    ])
      await expect(read()).rejects.toThrow(StaleSnapshot);
  });

  it.each(['off', 'local'])('are not counted under synchronous_commit = %s', async (setting) => {
    await database.as('keyward_auditor', async (client) => {
      await client.query(`SET synchronous_commit = ${setting}`);
      await expect(client.query(`SELECT keyward.count_read('acme', 'c', 'GetTile', NULL, NULL, NULL, '')`)).rejects.toMatchObject({
        code: 'KW004',
      });
    });
  });
});
