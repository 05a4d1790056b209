import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const isProduct = (file: string) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && !file.startsWith('test/');
const sources = readdirSync('libs/trail', { recursive: true, encoding: 'utf8' }).filter(isProduct);

describe('the trail library', () => {
  it.each(sources)('runs in a browser: %s', (file) => {
    const text = readFileSync(join('libs/trail', file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect(text).not.toMatch(/from 'node:|\b(Buffer|process|require|__dirname|setImmediate)\b/);
    expect(Array.from(text.matchAll(/from '([^.'][^']*)'/g), ([, name]) => name).filter((name) => name !== '#contract')).toEqual([]);
  });

  it('was looked at', () => {
    expect(sources).toEqual(expect.arrayContaining(['sha256.ts', 'verify/compare.ts', 'verify-bundle.ts']));
  });
});
