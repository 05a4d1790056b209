import { createHash } from 'node:crypto';
import { sm2Digest } from './sm2-digest.js';

/** GB/T 32918.5, appendix A.2. */
const SPKI = Buffer.from(
  '3059301306072a8648ce3d020106082a811ccf5501822d03420004' +
    '09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020' +
    'ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13',
  'hex',
);

describe('the digest that SM2 signs', () => {
  it('is the one of the standard', () => {
    const digest = Buffer.from(sm2Digest(SPKI, Buffer.from('message digest')));
    expect(digest.toString('hex')).toBe('f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640');
  });

  it('is made by an SM3 that is the one of the standard (GB/T 32905, appendix A)', () => {
    expect(createHash('sm3').update('abc').digest('hex')).toBe('66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0');
    expect(createHash('sm3').update('abcd'.repeat(16)).digest('hex')).toBe(
      'debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732',
    );
  });

  it('is not made without a public key of the curve', () => {
    expect(() => sm2Digest(undefined, Buffer.from('m'))).toThrow();
    expect(() => sm2Digest(SPKI.subarray(1), Buffer.from('m'))).toThrow();
  });
});
