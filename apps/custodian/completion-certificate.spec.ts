import { generateKeyPairSync, sign } from 'node:crypto';
import { certificateBody, signedNote } from '#custody/socket';
import { parseVkey, verifyCertificate, verifyReceipt, vkey } from '#trail';

const ORIGIN = 'keyward.example/audit/log_1';
const pair = generateKeyPairSync('ed25519');
const publicKey = pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
const known = [parseVkey(vkey(ORIGIN, publicKey))];
const noted = (body: string) => signedNote(ORIGIN, body, [{ publicKey, signature: sign(null, Buffer.from(body), pair.privateKey) }]);

const REWRAP = {
  ...{ tenant: 'acme', operationId: `op_${'0'.repeat(26)}`, keyId: `key_${'0'.repeat(26)}`, service: 'billing' },
  ...{ fromVersionId: `kver_${'1'.repeat(26)}`, toVersionId: `kver_${'2'.repeat(26)}` },
  ...{ population: 20_000, moved: 19_990, kept: 8, failed: 2, firstRecord: 17, lastRecord: 4711 },
  ...{ startedAt: '2026-11-26T10:00:00.000Z', endedAt: '2026-11-26T10:01:00.000Z' },
};

describe('a completion certificate', () => {
  it('is read as it was written', async () => {
    expect(await verifyCertificate(noted(certificateBody(REWRAP)), known)).toEqual(REWRAP);
  });

  it.each([
    ['another number', (text: string) => text.replace('moved: 19990', 'moved: 19991'), 'bad-signature'],
    ['another signer', (text: string) => text.replace('— keyward', '— keyworld'), 'unknown-signer'],
  ])('is refused with %s', async (_what, forge, code) => {
    await expect(verifyCertificate(forge(noted(certificateBody(REWRAP))), known)).rejects.toMatchObject({ code });
  });

  it.each([
    ['one whose counts do not add up', certificateBody({ ...REWRAP, moved: 20_000 })],
    ['another text', 'keyward shredding receipt v1\n'],
    ['one line more', `${certificateBody(REWRAP)}note: x\n`],
    ['a number in another form', certificateBody(REWRAP).replace('failed: 2', 'failed: 02')],
  ])('is not %s, whoever signed it', async (_what, body) => {
    await expect(verifyCertificate(noted(body), known)).rejects.toMatchObject({ code: 'malformed-certificate' });
  });

  it('is no receipt', async () => {
    await expect(verifyReceipt(noted(certificateBody(REWRAP)), known)).rejects.toMatchObject({ code: 'malformed-receipt' });
  });
});
