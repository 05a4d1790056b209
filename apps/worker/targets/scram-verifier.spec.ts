import { createHash, createHmac } from 'node:crypto';
import { scramVerifier } from './scram-verifier.js';

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** RFC 7677 §3, the exchange of user `user` with password `pencil`. */
const AUTH_MESSAGE = [
  'n=user,r=rOprNGfwEbeRWgbNEkqO',
  'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
].join(',');
const CLIENT_PROOF = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64');
const SERVER_SIGNATURE = '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=';

describe('the verifier of a password', () => {
  const verifier = scramVerifier('pencil', SALT);
  const [, iterations, salt, storedKey = '', serverKey = ''] = /^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)$/.exec(verifier) ?? [];

  it('has the form that PostgreSQL stores', () => {
    expect([iterations, salt]).toEqual(['4096', SALT.toString('base64')]);
    expect([storedKey, serverKey].map((key) => Buffer.from(key, 'base64').length)).toEqual([32, 32]);
  });

  it("accepts the proof of RFC 7677's client", () => {
    const signature = hmac(Buffer.from(storedKey, 'base64'), AUTH_MESSAGE);
    const clientKey = CLIENT_PROOF.map((byte, at) => byte ^ signature[at]!);
    expect(createHash('sha256').update(clientKey).digest('base64')).toBe(storedKey);
  });

  it("signs as RFC 7677's server", () => {
    expect(hmac(Buffer.from(serverKey, 'base64'), AUTH_MESSAGE).toString('base64')).toBe(SERVER_SIGNATURE);
  });

  it('is another one each time, and of another password', () => {
    expect(scramVerifier('pencil')).not.toBe(scramVerifier('pencil'));
    expect(scramVerifier('pencil', SALT)).not.toBe(scramVerifier('Pencil', SALT));
  });
});
