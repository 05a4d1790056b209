import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** As built: it is a process of its own whose files run out. */
const built = join(process.cwd(), 'dist/apps/custodian/guarded-child.js');

describe('the child of the custodian', () => {
  it('that cannot be started ends, and its parent goes on', () => {
    expect(existsSync(built)).toBe(true);
    const program = `
      import { openSync } from 'node:fs';
      import { GuardedChild } from ${JSON.stringify(built)};
      const full = () => { try { openSync('/dev/null'); return false; } catch ({ code }) { return code === 'EMFILE'; } };
      while (!full());
      const errors = [];
      const child = new GuardedChild({ script: 'none', hangMs: 60000, onReady() {}, onHang() {}, onError: (error) => errors.push(error.code) });
      const end = await child.ended;
      console.log(JSON.stringify([end, errors]));`;
    // Fewer than Node itself opens later.
    const limited = ['-c', 'ulimit -n 40; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', program];
    const answer = execFileSync('/bin/sh', limited, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    expect(JSON.parse(answer)).toEqual([{ code: null, wasReady: false, recycled: false }, ['EMFILE']]);
  });
});
