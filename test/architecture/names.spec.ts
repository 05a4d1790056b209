import { sourceFiles } from './source-files.js';

/** Words that say nothing. `data` is fine where it belongs to the product's own words: data plane, data key, data directory. */
const EMPTY_WORDS = ['manager', 'helper', 'util', 'common', 'info', 'misc', 'stuff'];
const OWN_WORDS = ['data-plane', 'data-key', 'data-operation', 'data-dir', 'data-route', 'data-handler', 'data-store'];

const fileWords = new RegExp(`(^|[-/.])(${EMPTY_WORDS.join('|')}|data)s?(?=[-/.])`);
const declaredWords =
  /^(?:export )?(?:default )?(?:abstract )?(?:(?:class|interface|enum|function|const) \w*(?:Manager|Helper|Utils?|Common|Info|Misc)s?\b|type \w*(?:Manager|Helper|Utils?|Common|Info|Misc)s?(?=[ <]*.*=))/m;

function emptyFileName(path: string): boolean {
  const own = OWN_WORDS.reduce((rest, word) => rest.replaceAll(`${word}s`, 'own').replaceAll(word, 'own'), path);
  // In core/handlers and contract the folder says which plane's operations these are.
  return fileWords.test(own.replace(/(handlers|operations)\/data\.ts$/, '$1/own.ts'));
}

describe('names', () => {
  const files = sourceFiles();

  it('of files say what is inside', () => {
    expect(files.map((file) => file.path).filter(emptyFileName)).toEqual([]);
  });

  it.each([
    'libs/core/key-manager.ts',
    'libs/http/utils.ts',
    'libs/core/helpers/bytes.ts',
    'libs/sdk/data.ts',
    'apps/worker/common.spec.ts',
  ])('like %s would be found', (path) => expect(emptyFileName(path)).toBe(true));

  it.each(['apps/data-plane/main.ts', 'libs/core/data-keys.ts', 'libs/runtime/embedded/data-dir.ts'])('like %s are fine', (path) =>
    expect(emptyFileName(path)).toBe(false),
  );

  it('of declarations say what they are', () => {
    expect(
      files.filter((file) => !file.path.startsWith('test/architecture/') && declaredWords.test(file.text)).map((file) => file.path),
    ).toEqual([]);
  });

  it.each(['export class KeyManager {', 'interface TokenInfo {', 'const cryptoUtils = 1'])('like "%s" would be found', (text) =>
    expect(declaredWords.test(text)).toBe(true),
  );

  it('are in kebab-case', () => {
    expect(files.map((file) => file.path).filter((path) => !/^[a-z0-9./-]+$/.test(path))).toEqual([]);
  });
});
