import type { KeyId, KeyVersionId, TenantId } from '#contract';
import type { WrappedKeyVersion } from '#core';
import { KeyVersions } from './key-versions.js';

type Parts = ConstructorParameters<typeof KeyVersions>;

describe('keys in use when the HSM is lost', () => {
  it('are freed where they lie in this process, and left alone where they were the HSM’s', () => {
    let freed = 0;
    const destroyed: unknown[] = [];
    const token = { cryptoki: { unwrap: () => Buffer.from('handle') }, destroy: (key: unknown) => destroyed.push(key) };
    const versions = new KeyVersions(
      token as unknown as Parts[0],
      { unwrapping: <T>(_: string, unwrap: (root: Buffer) => T) => unwrap(Buffer.from('root')) } as unknown as Parts[1],
      { verify: () => undefined } as unknown as Parts[2],
      { inUse: () => ({ free: () => freed++ }) } as unknown as Parts[3],
      {} as Parts[4],
      'SOFTWARE_TOKEN',
      { of: () => undefined },
      { cachedKeys: 10, cachedForMs: 1000 },
    );
    for (const spec of ['AES_256', 'EC_SM2', 'SM4'] as const) versions.inUse({ identity: spec, row: () => aRow(spec) });
    versions.release();
    expect([freed, destroyed]).toEqual([2, []]);
    versions.release();
    expect(freed).toBe(2);
  });
});

const aRow = (spec: WrappedKeyVersion['spec']): WrappedKeyVersion => ({
  ...{ tenant: 'acme' as TenantId, keyId: 'key_1' as KeyId, versionId: 'kver_1' as KeyVersionId, logId: 'log_1', spec },
  ...{ usage: spec === 'EC_SM2' ? 'SIGN_VERIFY' : 'ENCRYPT_DECRYPT', origin: 'KEYWARD', protectionLevel: 'SOFTWARE_TOKEN' },
  ...{ blob: Buffer.alloc(40), mac: Buffer.alloc(32) },
});
