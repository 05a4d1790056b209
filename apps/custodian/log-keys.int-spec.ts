import { createHash, createPublicKey, verify } from 'node:crypto';
import type { TenantId } from '#contract';
import { newLogId, Permit, vkeyOf } from '#core';
import { parseNote, parseVkey, verifyNote } from '#trail';
import { aTree } from '../../libs/testing/claimed-tree.js';
import { MECHANISMS, TestCustodian, TestToken } from './test-bed.js';

const ACME = 'acme' as TenantId;
const WITHOUT_EDWARDS = MECHANISMS.filter((name) => !/EDWARDS|EDDSA/.test(name));

describe.each([
  ['where the HSM has no Ed25519', WITHOUT_EDWARDS, {}],
  ['by the operator’s setting', MECHANISMS, { KEYWARD_HSM_LOG_KEYS: 'ECDSA_P256' }],
])('log keys on P-256 %s', (_, mechanisms, settings) => {
  let token: TestToken;
  let custodian: TestCustodian;
  beforeAll(async () => {
    token = new TestToken(settings, mechanisms);
    custodian = await TestCustodian.started(token);
  });
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
  });

  it('sign checkpoints as C2SP signed-note type 2, beside another key and over a restart', async () => {
    const [key, worker] = [await custodian.connect('key'), await custodian.connect('worker')];
    const make = (number: number) => key.createLogKey(new Permit({ operation: 'RotateLogKey', tenant: ACME }), number);
    const keys = [(await make(1)).publicKey, (await make(2)).publicKey];
    const logId = newLogId(Date.now());
    const log = { logId, origin: `keyward.example/audit/${logId}`, keys: [1, 2] };
    const notes = [await worker.signCheckpoint(ACME, log, aTree(5))];
    await custodian.stop();
    custodian = await TestCustodian.started(token);
    notes.push(await (await custodian.connect('worker')).signCheckpoint(ACME, log, aTree(5, 5)));

    for (const note of notes) {
      const [body = '', lines = ''] = note.split('\n\n');
      for (const [at, line] of lines.trimEnd().split('\n').entries()) {
        const signed = Buffer.from(line.split(' ')[2] ?? '', 'base64');
        // By Node's own OpenSSL: the id is of SubjectPublicKeyInfo, the signature DER.
        expect(signed.subarray(0, 4)).toEqual(createHash('sha256').update(keys[at]!).digest().subarray(0, 4));
        const publicKey = createPublicKey({ key: Buffer.from(keys[at]!), format: 'der', type: 'spki' });
        expect(publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
        expect(verify('sha256', Buffer.from(`${body}\n`), publicKey, signed.subarray(4))).toBe(true);
        expect(await verifyNote(parseNote(note), [parseVkey(vkeyOf(log.origin, keys[at]!))])).toHaveLength(1);
      }
    }
  });
});
