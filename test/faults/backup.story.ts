import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityFrom, openArchive, recipientFrom, sealArchive } from '../../apps/cli/backup/archive.js';
import type { Item } from '../../apps/cli/backup/items.js';
import { databaseManifest } from '../../apps/cli/backup/manifest.js';
import { runCli } from '../../apps/cli/program.js';
import { loadConfig, type Platform, startPlatform } from '#runtime';
import { api, must } from '../stories/api.js';
import { type Onboarded, onboarded } from '../stories/onboarded.js';
import { asSuperuser, tamper } from '../stories/signed.js';

/** What a customer has: something sealed, signed or authenticated by one version of one key. */
interface Sample {
  readonly path: string;
  readonly body: object;
  readonly want: object;
}

/** The host is lost. What is left: the two archives, the PIN, and the custodian's memory, which was kept elsewhere. */
describe('a platform that is restored from its archives', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kw-backup-'));
  chmodSync(folder, 0o755);
  const at = (name: string) => join(folder, name);
  const [lost, restored] = [at('lost'), at('restored')];
  const [rows, custody] = [at('rows.kwb'), at('custody.kwb')];
  let platform: Platform | undefined;
  let cast: Onboarded;
  afterAll(async () => {
    await platform?.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const keyward = async (...argv: readonly string[]) => {
    const [out, talk] = [new PassThrough(), new PassThrough()];
    const said = Promise.all([text(out), text(talk)]);
    const exit = await runCli(argv, { in: Readable.from([]), out, talk }, () => loadConfig('cli'));
    out.end();
    talk.end();
    const [outText, talkText] = await said;
    return { exit, out: outText, talk: talkText };
  };
  const archives = ['--database', rows, '--custody', custody];
  const restoring = ['restore', ...archives, '--identity', at('backup.key')];
  const asAdmin = async (tenant: 'acme' | 'globex', method: string, path: string, body?: object) =>
    (await must(platform!.urls.keyPlane, cast[tenant].admin, method, `/v1/tenants/${tenant}${path}`, body)).body;
  const asBilling = (tenant: 'acme' | 'globex', path: string, body: object) =>
    api(platform!.urls.dataPlanes[0]!, cast.billing, 'POST', `/v1/tenants/${tenant}/${path}`, body);
  const eventually = async <Answer>(ask: () => Promise<Answer>, isSo: (answer: Answer) => boolean): Promise<Answer> => {
    for (let tries = 0; tries < 300; tries++) {
      const answer = await ask();
      if (isSo(answer)) return answer;
      await sleep(200);
    }
    throw new Error('It did not happen in a minute.');
  };

  const key = async (request: object) => String((await asAdmin('globex', 'POST', '/keys', request))['keyId']);
  const encrypted = async (keyId: string): Promise<Sample> => {
    const call = { plaintext: Buffer.from(`of ${keyId}`).toString('base64'), encryptionContext: { purpose: 'drill' } };
    const { body } = await asBilling('globex', 'encrypt', { keyId, ...call });
    expect(body).toMatchObject({ keyId });
    return {
      path: 'decrypt',
      body: { ciphertext: body['ciphertext'], encryptionContext: call.encryptionContext },
      want: { plaintext: call.plaintext },
    };
  };
  /** One of every version of every kind of key. */
  const samples = async (): Promise<readonly Sample[]> => {
    const aes = await key({ keySpec: 'AES_256' });
    const first = await encrypted(aes);
    await asAdmin('globex', 'POST', `/keys/${aes}/versions`, {});
    const [hmac, pair] = [await key({ keySpec: 'HMAC_256' }), await key({ keySpec: 'EC_P256' })];
    const message = Buffer.from('drill').toString('base64');
    const made = await asBilling('globex', 'mac', { keyId: hmac, message });
    const signed = { keyId: pair, message, algorithm: 'ECDSA_SHA_256' };
    const { body } = await asBilling('globex', 'sign', signed);
    return [
      ...[first, await encrypted(aes), await encrypted(await key({ keySpec: 'AES_128' })), await encrypted(await key({ keySpec: 'SM4' }))],
      { path: 'mac/verify', body: { keyId: hmac, message, mac: made.body['mac'] }, want: { keyId: hmac } },
      { path: 'verify', body: { ...signed, signature: body['signature'] }, want: { keyId: pair } },
      // Its private half, too.
      { path: 'sign', body: signed, want: { keyId: pair } },
    ];
  };
  /** Changes the first byte of one wrapped key, as whoever writes SQL can. */
  const edit = async ({ platform: { superuserUrl } }: Onboarded) => {
    const flip = (where: string) =>
      asSuperuser(superuserUrl, async (client) => {
        const { rows: changed } = await client.query<{ id: string }>(
          `UPDATE keyward.key_version SET blob = set_byte(blob, 0, get_byte(blob, 0) # 1) WHERE version_id = ${where} RETURNING version_id AS id`,
        );
        return changed[0]!.id;
      });
    const versionId = await flip(`(SELECT min(version_id) FROM keyward.key_version WHERE tenant_id = 'globex' AND length(blob) > 0)`);
    return {
      versionId,
      undo: () => flip(`'${versionId}'`),
      oneOf: expect.stringMatching(/^keyward: 1 of \d+ key versions do not open\.\n$/) as string,
    };
  };
  const opened = async (file: string) => {
    const parts: Buffer[] = [];
    await openArchive(
      file,
      [identityFrom(at('backup.key'), undefined)],
      async ({ rest }) => {
        for await (const { head, body } of rest) parts.push(Buffer.from(JSON.stringify(head)), await buffer(Readable.from(body)));
      },
      new PassThrough().resume(),
    );
    return Buffer.concat(parts);
  };

  /** Whoever has the public key can: another archive that says of itself that it has one log more. */
  const sealedAgain = (from: string, to: string, log: object) =>
    openArchive(
      from,
      [identityFrom(at('backup.key'), undefined)],
      async ({ context, first, rest }) => {
        const head = databaseManifest.parse(first.head);
        const items = async function* (): AsyncGenerator<Item> {
          yield { head: { ...head, logs: [...head.logs!, log] }, body: [] };
          for await (const item of rest) yield { head: item.head as object, body: item.body };
        };
        await sealArchive(to, [recipientFrom(at('backup.pub'))], context, items(), { talk: new PassThrough().resume(), expectedBytes: 0 });
      },
      new PassThrough().resume(),
    );

  it('opens every sample, destroys again what was destroyed, and stops a tenant whose trail went back', async () => {
    const pair = generateKeyPairSync('x25519');
    writeFileSync(at('backup.key'), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    writeFileSync(at('backup.pub'), pair.publicKey.export({ type: 'spki', format: 'pem' }));
    cast = await onboarded({ dataDir: lost });
    platform = cast.platform;
    const everything = { id: 'all', subjects: ['svc:billing'], objects: ['*'], operations: ['@all'] };
    await must(
      ...[
        platform.urls.keyPlane,
        cast.globex.admin,
        'PUT',
        '/v1/tenants/globex/policy',
        { schema: 'keyward.policy/1', grants: [everything] },
      ],
      ...[{ 'if-none-match': '*' }],
    );
    const kept = await samples();
    // Beside the platform that runs; one row that somebody edited is found, and told by its id.
    const verified = () => keyward('verify-keys', '--data-dir', lost);
    const edited = await edit(cast);
    expect(await verified()).toMatchObject({ exit: 6, out: expect.stringContaining(edited.versionId), talk: edited.oneOf });
    await edited.undo();
    expect(await verified()).toMatchObject({ exit: 0, talk: expect.stringMatching(/^\d+ key versions, and each opens/) });
    const first = JSON.parse(readFileSync(platform.credentialsFile, 'utf8')) as { operator: { apiKey: string } };

    // It ends in a week, and nobody will know whether that was cancelled after the backup.
    const waiting = await key({ keySpec: 'AES_256' });
    const { deletionAt } = await asAdmin('globex', 'POST', `/keys/${waiting}/schedule-deletion`, { pendingDays: 7 });

    const tokens = join(lost, 'hsm', 'tokens');
    const objects = readdirSync(tokens, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.object'))
      .map((name) => readFileSync(join(tokens, name)));
    // A tenant's root is born while the archives are made: it is in both, or needed by neither.
    const [saved] = await Promise.all([
      keyward('backup', '--data-dir', lost, ...archives, '--recipient', at('backup.pub')),
      must(platform.urls.keyPlane, cast.operator, 'POST', '/v1/tenants', { tenant: 'initech', displayName: 'Initech' }),
    ]);
    expect(saved).toMatchObject({ exit: 0 });
    expect(saved.out).toMatch(/^[0-9a-f]{64} {2}\S+custody\.kwb\n[0-9a-f]{64} {2}\S+rows\.kwb\n$/);

    // The one has none of what the other has, and neither what opens the HSM.
    const [inRows, inCustody] = [await opened(rows), await opened(custody)];
    const file = (name: string) => readFileSync(join(lost, name));
    const wrapped = await asSuperuser(platform.superuserUrl, async (client) => {
      const { rows: found } = await client.query<{ blob: Buffer }>(`SELECT blob FROM keyward.key_version WHERE length(blob) > 0`);
      return found.map(({ blob }) => blob);
    });
    for (const blob of wrapped) expect([inRows.includes(blob), inCustody.includes(blob)]).toEqual([true, false]);
    for (const bytes of [file('pepper'), file('worker-key'), ...objects])
      expect([inRows.includes(bytes), inCustody.includes(bytes)]).toEqual([false, true]);
    for (const bytes of [file('hsm/pin'), file('hsm/so-pin'), file('superuser-password'), Buffer.from(first.operator.apiKey)])
      expect([inRows.includes(bytes), inCustody.includes(bytes)]).toEqual([false, false]);

    // Afterwards acme destroys its key.
    const path = `/keys/${cast.acme.keyId}`;
    await asAdmin('acme', 'POST', `${path}/schedule-deletion`, { pendingDays: 7 });
    await asSuperuser(platform.superuserUrl, (client) =>
      client.query(`UPDATE keyward.cmk SET deletion_at = now() WHERE key_id = $1`, [cast.acme.keyId]),
    );
    await eventually(
      () => asAdmin('acme', 'GET', path),
      ({ state }) => state === 'Destroyed',
    );
    await eventually(
      async () => file('custodian/tombstones.jsonl').toString(),
      (tombstones) => tombstones.includes(cast.acme.keyId),
    );
    // Somebody changes a record, and saves that.
    await tamper(cast, `UPDATE keyward.trail_record SET bytes = set_byte(bytes, 20, 1) WHERE tenant_id = 'globex' AND seq = 1`);
    await must(platform.urls.keyPlane, cast.operator, 'POST', '/v1/tenants', { tenant: 'hooli', displayName: 'Hooli' });
    const changed = ['--database', at('changed.kwb'), '--custody', at('later.kwb')];
    expect(await keyward('backup', '--data-dir', lost, ...changed, '--recipient', at('backup.pub'))).toMatchObject({ exit: 0 });
    await platform.stop();
    platform = undefined;

    // A bit of an archive that is not as it was: nothing is restored.
    const damaged = readFileSync(rows);
    damaged[damaged.length >> 1]! ^= 1;
    writeFileSync(at('damaged.kwb'), damaged);
    const pin = ['--pin', join(lost, 'hsm', 'pin'), '--first-credential', join(lost, 'credentials.json')];
    const refused = await keyward(
      'restore',
      '--database',
      at('damaged.kwb'),
      '--custody',
      custody,
      '--identity',
      at('backup.key'),
      ...pin,
      '--data-dir',
      restored,
    );
    expect(refused).toMatchObject({ exit: 6, talk: expect.stringContaining('damaged.kwb does not open') });
    expect(existsSync(restored)).toBe(false);
    expect(await keyward('restore', '--database', custody, '--custody', rows, '--identity', at('backup.key'), '--check')).toMatchObject({
      ...{ exit: 2, talk: expect.stringContaining('is the archive of the custody') },
    });
    expect(await keyward(...restoring, '--data-dir', restored)).toMatchObject({ exit: 2, talk: expect.stringContaining('--pin') });
    expect(await keyward(...restoring, ...pin, '--data-dir', lost)).toMatchObject({
      exit: 2,
      talk: expect.stringContaining('is not empty'),
    });
    expect(await keyward(...restoring, '--check')).toMatchObject({ exit: 0, out: 'Nothing was restored.\n' });

    const identity = ['--identity', at('backup.key')];
    expect(await keyward('restore', ...changed, ...identity, ...pin, '--data-dir', restored)).toMatchObject({
      ...{ exit: 6, talk: expect.stringContaining('The trail of globex is not what was signed') },
    });
    // The token of before has not the root of a tenant of afterwards.
    expect(await keyward('restore', ...changed.slice(0, 2), '--custody', custody, ...identity, '--check')).toMatchObject({
      ...{ exit: 2, talk: expect.stringContaining('rows of hooli need') },
    });
    // Nor the rows of before a tenant that custody knows by then; and an archive that has less than it says is none.
    const later = ['restore', '--database', rows, '--custody', at('later.kwb'), ...identity];
    expect(await keyward(...later, '--check')).toMatchObject({ exit: 2, talk: expect.stringContaining('--without hooli') });
    const bornSince = ['--without', 'hooli', '--without', 'initech'];
    expect(await keyward(...later, '--check', ...bornSince)).toMatchObject({ exit: 0 });
    await sealedAgain(rows, at('less.kwb'), { tenant: 'umbrella', records: 3 });
    const less = ['restore', '--database', at('less.kwb'), '--custody', custody, ...identity, ...pin, '--data-dir', restored];
    expect(await keyward(...less)).toMatchObject({ exit: 6, talk: expect.stringContaining('umbrella with 3 records; it has not') });
    expect(existsSync(restored)).toBe(false);

    const told = await keyward(
      ...restoring,
      ...pin,
      '--without',
      'hooli',
      '--without',
      'initech',
      '--newer-state',
      join(lost, 'custodian'),
      '--data-dir',
      restored,
    );
    expect(told).toMatchObject({ exit: 0, talk: expect.stringMatching(/Restored in \d+\.\d s[^]*\d+ key versions, and each opens/) });
    expect(told.out).toMatch(/acme .* were signed: comes up stopped/);
    expect(told.out).toMatch(/globex .* as signed/);

    const restoredAt = Date.now();
    platform = await startPlatform({ dataDir: restored, ports: 'free' });
    for (const { path: call, body, want } of kept) {
      const answer = await asBilling('globex', call, body);
      expect([call, answer.status, answer.body]).toMatchObject([call, 200, want]);
    }
    const waits = await asAdmin('globex', 'GET', `/keys/${waiting}`);
    expect(Date.parse(String(waits['deletionAt']))).toBeGreaterThan(Date.parse(String(deletionAt)));

    const use = () =>
      asBilling('acme', 'encrypt', { keyId: cast.acme.keyId, plaintext: 'eA==', encryptionContext: { purpose: 'invoice' } });
    expect((await use()).body).toMatchObject({ code: 'stopped' });
    const { items } = (await asAdmin('acme', 'GET', '/stops')) as { items: { stopId: string; stoppedAt: string }[] };
    // By the restore itself, before there was a plane; and not again by the key plane, which sees the same.
    expect(items).toMatchObject([{ stoppedBy: 'restore' }]);
    expect(Date.parse(items[0]!.stoppedAt)).toBeLessThanOrEqual(restoredAt);
    await asAdmin('acme', 'DELETE', `/stops/${items[0]!.stopId}`);
    await eventually(
      () => asAdmin('acme', 'GET', path),
      ({ state }) => state === 'Destroyed',
    );
    expect((await use()).status).toBe(410);
  }, 600_000);
});
