/**
 * Started with a program of the product (`node --import`) in tests alone: takes a guard out of its code as it is loaded. Without
 * cuts the program is the product's own. A cut whose text is not there ends the process: a control that switches nothing off proves nothing.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Cut } from './cut.js';

const cuts = JSON.parse(readFileSync(process.env['KEYWARD_TEST_CUTS']!, 'utf8')) as Cut[];

registerHooks({
  load: (url, context, next) => {
    const loaded = next(url, context);
    const own = cuts.filter(({ module }) => url.endsWith(`/dist/${module}`));
    if (own.length === 0) return loaded;
    let source = readFileSync(fileURLToPath(url), 'utf8');
    for (const { find, put } of own) {
      if (!source.includes(find)) {
        process.stderr.write(`There is nothing to cut in ${url}: ${find}\n`);
        process.exit(78);
      }
      source = source.replaceAll(find, put);
    }
    return { ...loaded, source };
  },
});
