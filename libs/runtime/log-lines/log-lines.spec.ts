import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { logLines } from './index.js';

describe('log lines', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kw-lines-'));
  const file = join(folder, 'log');
  afterAll(() => rmSync(folder, { recursive: true }));

  it('are in the file when the call returns', () => {
    const fd = openSync(file, 'a');
    pino({ base: null }, logLines({ fd })).info('here');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ msg: 'here' });
    closeSync(fd);
  });

  it('are lost where they cannot be written, and the process goes on', () => {
    const fd = openSync(file, 'r');
    expect(() => pino({ base: null }, logLines({ fd })).info('nowhere')).not.toThrow();
    closeSync(fd);
    expect(readFileSync(file, 'utf8')).not.toContain('nowhere');
  });
});
