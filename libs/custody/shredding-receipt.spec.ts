import fc from 'fast-check';
import { type BackupDays, receiptBody } from './shredding-receipt.js';

const DAY_MS = 86_400_000;
const AT = Date.parse('2026-03-01T12:00:00.000Z');
const iso = (at: number) => new Date(at).toISOString();
const days = fc.option(fc.integer({ min: 0, max: 4000 }), { nil: undefined });

const finalIn = (backups: BackupDays, rootDestroyedAt?: string) => {
  const key = { tenant: 'acme', keyId: 'key_1', versionIds: ['kver_1'], destroyedAt: iso(AT), seq: 7n, rootDestroyedAt };
  return /^final: (.*)$/m.exec(receiptBody(key, backups))![1];
};

describe('when a destruction is final', () => {
  it('is when the copy that is kept longest is gone, and unknown where the operator has not said it of all', () => {
    fc.assert(
      fc.property(days, days, days, (wal, database, token) => {
        const kept = [wal, database, token];
        const longest = Math.max(...kept.map((one) => one ?? Number.NaN));
        expect(finalIn({ wal, database, token })).toBe(Number.isNaN(longest) ? 'unknown' : iso(AT + longest * DAY_MS));
      }),
    );
  });

  it('is at once, by the destruction of the root, where no copy of the token is kept', () => {
    const rootDestroyedAt = iso(AT + DAY_MS);
    expect(finalIn({ wal: 7, database: 400, token: 0 }, rootDestroyedAt)).toBe(rootDestroyedAt);
    expect(finalIn({ wal: undefined, database: undefined, token: 0 }, rootDestroyedAt)).toBe(rootDestroyedAt);
    expect(finalIn({ wal: undefined, database: undefined, token: 5 }, rootDestroyedAt)).toBe(iso(AT + 6 * DAY_MS));
  });

  it('is never put off by the destruction of the root, nor known by it where nobody knows of copies of the token', () => {
    expect(finalIn({ wal: 1, database: 1, token: 1 }, iso(AT + 90 * DAY_MS))).toBe(iso(AT + DAY_MS));
    expect(finalIn({ wal: 1, database: 1, token: undefined }, iso(AT))).toBe('unknown');
  });
});
