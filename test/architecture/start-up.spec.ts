import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { checkout } from './source-files.js';

const manifest = z.object({ scripts: z.record(z.string(), z.string()), imports: z.record(z.string(), z.unknown()) });

describe('starting', () => {
  it('has every npm script go through run.mjs, without pre- or post-scripts', () => {
    const { scripts } = manifest.parse(JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')));
    expect(Object.entries(scripts).filter(([name, line]) => line !== `node run.mjs ${name}`)).toEqual([]);
  });

  it('needs nothing but Node for run.mjs', () => {
    const imports = [...readFileSync(join(checkout, 'run.mjs'), 'utf8').matchAll(/^import .* from '([^']+)'/gm)].map((match) => match[1]);
    expect(imports.length).toBeGreaterThan(0);
    expect(imports.filter((name) => name?.startsWith('node:') !== true)).toEqual([]);
  });

  it('answers an unknown command with what there is', () => {
    const run = () =>
      execFileSync(process.execPath, [join(checkout, 'run.mjs'), 'nonsense'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    expect(run).toThrow(/unknown command "nonsense"; one of: demo, start/);
  });
});
