import { HandleCache } from './handle-cache.js';
import { namedRoot, newbornVersion, rootTemplate, versionInUse } from './key-templates.js';
import { nativeTemplate } from './template.js';
import type { Template } from './template.js';
import { Cryptoki } from './cryptoki.js';
import type { KeyHandle } from './cryptoki.js';

/** Each of these would abort the process inside the binding. */
const MALFORMED: Record<string, object> = {
  'an unknown attribute': { nonsense: true },
  'an inherited name': { constructor: true },
  'an undefined value': { label: undefined },
  'a bigint': { valueLen: 32n },
  'a fraction': { valueLen: 0.5 },
  'a text for a flag': { token: 'true' },
  'bytes that are no Buffer': { id: new Uint8Array(16) },
  'no bytes': { id: Buffer.alloc(0) },
};

describe('templates', () => {
  it.each(Object.entries(MALFORMED))('with %s do not reach the binding', (_what, template) => {
    expect(() => nativeTemplate(template as Template)).toThrow(TypeError);
  });

  it('of roots let them wrap and nothing else', () => {
    const { wrap, unwrap, encrypt, decrypt, sign, extractable, sensitive, modifiable } = rootTemplate(namedRoot('acme', 0));
    expect({ wrap, unwrap, encrypt, decrypt, sign }).toEqual({ wrap: true, unwrap: true, encrypt: false, decrypt: false, sign: false });
    expect({ extractable, sensitive, modifiable }).toEqual({ extractable: false, sensitive: true, modifiable: false });
  });

  it('of key versions make them extractable at birth only', () => {
    expect([newbornVersion('AES_256').extractable, versionInUse('AES_256', 'ENCRYPT_DECRYPT').extractable]).toEqual([true, false]);
    expect([newbornVersion('AES_256').token, versionInUse('AES_256', 'ENCRYPT_DECRYPT').token]).toEqual([false, false]);
    expect([newbornVersion('AES_256').sensitive, versionInUse('AES_256', 'ENCRYPT_DECRYPT').sensitive]).toEqual([true, true]);
  });
});

describe('a module', () => {
  it.each(['libsofthsm2.so', '', '/a\0b'])('is not loaded by %j', (path) => {
    expect(() => new Cryptoki(path)).toThrow(TypeError);
  });
});

describe('the cache of handles', () => {
  const handle = (name: string) => Buffer.from(name) as KeyHandle;
  const aCache = () => {
    const destroyed: string[] = [];
    return { destroyed, cache: new HandleCache<KeyHandle>(2, 1000, (key) => destroyed.push(key.toString())) };
  };

  it('destroys the least recently used', () => {
    const { cache, destroyed } = aCache();
    cache.add('a', 'key', handle('A'), 0);
    cache.add('b', 'key', handle('B'), 0);
    cache.get('a', 1);
    cache.add('c', 'key', handle('C'), 2);
    expect(destroyed).toEqual(['B']);
    expect([cache.get('a', 3)?.toString(), cache.get('b', 3)]).toEqual(['A', undefined]);
  });

  it('gives up every version of a key that is no more', () => {
    const { cache, destroyed } = aCache();
    cache.add('a', 'gone', handle('A'), 0);
    cache.add('b', 'stays', handle('B'), 0);
    cache.evict('gone');
    expect(destroyed).toEqual(['A']);
    expect([cache.get('a', 1), cache.get('b', 1)?.toString()]).toEqual([undefined, 'B']);
  });

  it('forgets all of them without a word to the HSM, once that is gone', () => {
    const { cache, destroyed } = aCache();
    cache.add('a', 'key', handle('A'), 0);
    cache.add('b', 'key', handle('B'), 0);
    expect(cache.emptied().map(String)).toEqual(['A', 'B']);
    expect([cache.get('a', 1), cache.get('b', 1), destroyed]).toEqual([undefined, undefined, []]);
  });

  it('destroys what is too old, however often it is used', () => {
    const { cache, destroyed } = aCache();
    cache.add('a', 'key', handle('A'), 0);
    expect(cache.get('a', 1000)?.toString()).toBe('A');
    expect(cache.get('a', 1001)).toBeUndefined();
    expect(destroyed).toEqual(['A']);
  });
});
