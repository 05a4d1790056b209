import type { TestToken } from './test-bed.js';
import { onToken } from './test-on-token.js';

const UNWRAP = `
  const { valueLen, ...root } = { ...rootTemplate({ label: 'vectors' }), token: false };
  const { valueLen: _none, ...readable } = { ...newbornVersion('HMAC_256'), sensitive: false };
  return input.cases.map(({ key, blob }) => {
    const wrapping = created(root, bytes(key));
    try {
      return cryptoki.attribute(token.holder, cryptoki.unwrap(token.holder, wrapping, bytes(blob), readable, input.by), 'value').toString('hex');
    } catch (error) {
      if (error instanceof CryptokiError) return null;
      throw error;
    }
  });`;

/** What the HSM unwraps, by AES-KW or AES-KWP, under keys that whoever has the PIN brings: readable, as none of Keyward's is. Hexadecimal. */
export const unwrappedOnToken = (
  token: TestToken,
  cases: readonly { readonly key: string; readonly blob: string }[],
  by: 'kw' | 'kwp',
): readonly (string | null)[] => onToken(token, UNWRAP, { by, cases }) as (string | null)[];
