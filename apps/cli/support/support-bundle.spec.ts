import { generateKeyPairSync, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secretsInSettings } from '#runtime';
import { VerificationFailed } from '../exit-codes.js';
import { knownSecrets, refuseSecrets } from './known-secrets.js';
import { scrubbed } from './scrub.js';

describe('what is removed from a support bundle', () => {
  const password = () => randomBytes(24).toString('base64url');
  const pem = generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' });

  it.each([
    ['a PIN or a password of ours', () => password()],
    ['a pepper in hex', () => randomBytes(32).toString('hex')],
    ['a key in base64', () => randomBytes(32).toString('base64')],
    ['an API key', () => `kw_acme_crd_01jdsz0000e008000000000001_${randomBytes(32).toString('base64url')}`],
    ['a JWT', () => `eyJhbGciOiJFUzI1NiJ9.${password()}.${password()}${password()}`],
    ['a short password in a URL', () => 'hunter2'],
  ])('%s', (_, make) => {
    const canary = make();
    const line =
      canary === 'hunter2'
        ? `connecting to postgres://keyward_owner:${canary}@db:5432/keyward failed`
        : `{"msg":"refused","token":"${canary}"}`;
    const text = scrubbed(line);
    expect(text).toContain('[removed]');
    for (let from = 0; from + 12 <= canary.length; from += 6) expect(text).not.toContain(canary.slice(from, from + 12));
    expect(text).not.toContain('hunter2');
  });

  it('a private key, whole, as it is and in JSON', () => {
    const middle = pem.split('\n')[1]!;
    expect(scrubbed(`before ${pem} after`)).not.toContain(middle);
    expect(scrubbed(JSON.stringify({ pem }))).not.toContain(middle);
  });

  it('any random 24 bytes in base64url', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 64 }), (bytes) => {
        const canary = Buffer.from(bytes).toString('base64url');
        // Bytes that are all the same are no secret.
        fc.pre(new Set(canary).size > 12 && /[a-z]/.test(canary) && /[A-Z]/.test(canary));
        expect(scrubbed(`"${canary}"`)).not.toContain(canary);
      }),
    );
  });

  it('but not what one needs to help', () => {
    const line =
      '{"level":"warn","time":"2026-11-27T01:29:22.988Z","pid":25100,"name":"key-plane","requestId":"req_01jdsz0000e008000000000001","at":"/srv/keyward/libs/custody/pkcs11/signed-checkpoints.ts:146:53"}';
    expect(scrubbed(line)).toBe(line);
    expect(scrubbed('PlatformFigures0000000000170 synchronous_commit trail_record_2026_11')).toBe(
      'PlatformFigures0000000000170 synchronous_commit trail_record_2026_11',
    );
  });
});

describe('the last look at a bundle', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'kw-secrets-'));
  afterAll(() => rmSync(dataDir, { recursive: true }));

  it('finds each secret of the platform, in every form', () => {
    const [pin, pepper, apiKey] = [
      randomBytes(24).toString('base64url'),
      randomBytes(32),
      `kw_platform_${randomBytes(32).toString('base64url')}`,
    ];
    mkdirSync(join(dataDir, 'hsm'));
    writeFileSync(join(dataDir, 'hsm', 'pin'), `${pin}\n`);
    writeFileSync(join(dataDir, 'pepper'), pepper);
    writeFileSync(join(dataDir, 'credentials.json'), JSON.stringify({ operator: { apiKey }, keyPlane: 'http://127.0.0.1:7710' }));
    const secrets = knownSecrets(dataDir);
    for (const planted of [pin, pepper.toString('hex'), pepper.toString('base64'), apiKey])
      expect(() => refuseSecrets(`{"log":"… ${planted} …"}`, secrets)).toThrow(VerificationFailed);
    expect(() => refuseSecrets('{"log":"http://127.0.0.1:7710"}', secrets)).not.toThrow();
  });

  it('finds those of a platform whose files are elsewhere, too, and what JSON writes in another way', () => {
    const file = join(dataDir, 'pin-elsewhere');
    writeFileSync(file, '8461 "0573"\n');
    const settings = secretsInSettings({
      ...{ KEYWARD_HSM_PIN_FILE: file, KEYWARD_TLS_KEY_FILE: join(dataDir, 'absent'), HOME: '/home/keyward' },
      ...{ KEYWARD_SUPERUSER_URL: 'postgres://postgres:corr%40ct-horse@db/keyward', PGPASSWORD: 'battery-staple' },
    });
    const secrets = knownSecrets(join(dataDir, 'nothing'), settings);
    for (const planted of ['8461 "0573"', 'corr%40ct-horse', 'corr@ct-horse', 'battery-staple'])
      expect(() => refuseSecrets(JSON.stringify({ log: `… ${planted} …` }), secrets)).toThrow(VerificationFailed);
    expect(() => refuseSecrets('{"log":"/home/keyward 8461"}', secrets)).not.toThrow();
  });
});
