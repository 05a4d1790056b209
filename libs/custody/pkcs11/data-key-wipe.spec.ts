import type { KeyId, KeyVersionId, TenantId } from '#contract';
import { CustodyUnavailable } from '#core';
import type { WrappedKeyVersion } from '#core';
import { anyBindingKey, BINDING_KEY_LABEL } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { RandomPool } from './random-pool.js';
import { TokenCustody } from './token-custody.js';

const handle = Buffer.from('handle');
const bindingKey = Buffer.from('binding key');
const ROW: WrappedKeyVersion = {
  ...{ tenant: 'acme' as TenantId, keyId: 'key_1' as KeyId, versionId: 'kver_1' as KeyVersionId, logId: 'log_1' },
  ...{
    spec: 'AES_256' as const,
    usage: 'ENCRYPT_DECRYPT' as const,
    origin: 'KEYWARD' as const,
    protectionLevel: 'SOFTWARE_TOKEN' as const,
  },
  ...{ blob: Buffer.alloc(40), mac: Buffer.alloc(32) },
};
const ROOT_FLAGS = ['sensitive', 'alwaysSensitive', 'neverExtractable'];

/** A token that does nothing wrong but its random numbers, once it is told to. */
class ShallowToken {
  readonly slot = Buffer.from('slot');
  readonly holder = Buffer.from('holder');
  dry = false;
  readonly cryptoki = {
    random: (_session: unknown, into: Buffer) => {
      if (this.dry) throw new CustodyUnavailable('the generator is dry');
      into.fill(7);
    },
    attribute: (_session: unknown, key: unknown, name: string) =>
      name === 'label'
        ? Buffer.from(key === bindingKey ? BINDING_KEY_LABEL : 'keyward/root/acme')
        : Buffer.of(ROOT_FLAGS.includes(name) ? 1 : 0),
    generateKey: () => handle,
    wrap: () => Buffer.alloc(40),
    unwrap: () => handle,
    seal: () => Buffer.alloc(32),
    open: () => Buffer.alloc(32),
    mac: () => Buffer.alloc(32),
  };
  find = (template: unknown) => [template === anyBindingKey ? bindingKey : handle];
  destroy = () => undefined;
  operate = <T>(operation: (session: Buffer) => T): T => operation(this.holder);
}

describe('when the generator fails', () => {
  let shallow: ShallowToken;
  let token: OpenToken;
  beforeEach(() => {
    shallow = new ShallowToken();
    token = shallow as unknown as OpenToken;
  });
  afterEach(() => jest.restoreAllMocks());

  it('a data key that has no IV yet is wiped', () => {
    const { uses } = new TokenCustody(
      token,
      'SOFTWARE_TOKEN',
      { of: () => undefined },
      { cachedKeys: 10, softwareKeys: 'refused', cachedForMs: 1000 },
    );
    const version = { identity: 'v', row: () => ROW };
    const taken = jest.spyOn(RandomPool.prototype, 'take');
    // Eight data keys with their IVs are 8192 bytes, but for the last IV.
    for (let i = 0; i < 7; i++) uses.generateDataKey(version, Buffer.from('aad'), 1014);
    taken.mockClear();
    shallow.dry = true;
    expect(() => uses.generateDataKey(version, Buffer.from('aad'), 1010)).toThrow(CustodyUnavailable);
    expect(taken.mock.results.map(({ type }) => type)).toEqual(['return', 'throw']);
    expect(taken.mock.results[0]?.value).toEqual(Buffer.alloc(1010));
  });

  it('nobody is given the zeros of a module that writes nothing: the HSM is unavailable', () => {
    shallow.cryptoki.random = () => undefined;
    expect(() => new RandomPool(token).take(32)).toThrow(CustodyUnavailable);
  });

  it('nobody is given what is left of the pool', () => {
    const pool = new RandomPool(token);
    pool.take(8180);
    shallow.dry = true;
    expect(() => pool.take(32)).toThrow(CustodyUnavailable);
    expect(() => pool.take(12)).toThrow(CustodyUnavailable);
  });
});
