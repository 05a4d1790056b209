import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ledger, readLedger } from './ledger.js';

describe('the ledger', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kw-ledger-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const question = { askedAt: 1, op: 'Encrypt', tenant: 'acme', by: 'billing', about: {} };

  it('has on disk what many at once were told that it has, and leaves open what was not answered', async () => {
    const path = join(folder, 'many');
    const ledger = await Ledger.create(path);
    const asked = await Promise.all(
      Array.from({ length: 200 }, async (_, at) => {
        const n = await ledger.asked(question);
        if (at % 2 === 0) await ledger.answered({ n, answeredAt: 2, status: 200 });
        const known = await readLedger(path);
        expect(known.find((call) => call.n === n)?.status).toBe(at % 2 === 0 ? 200 : undefined);
        return n;
      }),
    );
    await ledger.close();
    expect(new Set(asked).size).toBe(200);
    expect((await readLedger(path)).filter(({ status }) => status === 200)).toHaveLength(100);
  });

  it.each([
    ['an answer that nobody asked for', { n: 7, answeredAt: 2, status: 200 }],
    ['a second answer', { n: 0, answeredAt: 3, status: 200 }],
    ['a question that is there already', { n: 0, ...question }],
  ])('refuses %s', async (name, line) => {
    const path = join(folder, name);
    const ledger = await Ledger.create(path);
    await ledger.answered({ n: await ledger.asked(question), answeredAt: 2, status: 200 });
    await ledger.close();
    appendFileSync(path, `${JSON.stringify(line)}\n`);
    await expect(readLedger(path)).rejects.toThrow('contradicts itself');
  });
});
