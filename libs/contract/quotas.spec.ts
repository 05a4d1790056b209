import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { QUOTA_NAMES, QUOTAS, quotaName, setQuotaRequest } from './quotas.js';

describe('the quotas', () => {
  it.each(QUOTA_NAMES)('are told to operators as they are, and their standard is within what may be set: %s', (name) => {
    const { unit, standard, least, most } = QUOTAS[name];
    expect(readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8')).toContain(
      `| \`${name}\` | ${unit} | ${standard} | ${least} | ${most} |`,
    );
    expect([least >= 1, least <= standard, standard <= most]).toEqual([true, true, true]);
  });

  it('leave a tenant what it needs to stop: credentials for its admins, and calls', () => {
    for (const name of ['credentials', 'manageRate', 'readRate'] as const) expect(QUOTAS[name].least).toBeGreaterThanOrEqual(10);
  });

  it('are named one by one, and a limit is a whole number or none', () => {
    expect(quotaName.safeParse('stops').error?.issues[0]?.message).toBe(`must be one of ${QUOTA_NAMES.join(', ')}`);
    for (const limit of [0, -1, 1.5, '5', undefined]) expect(setQuotaRequest.safeParse({ limit }).success).toBe(false);
    for (const limit of [1, null]) expect(setQuotaRequest.safeParse({ limit }).success).toBe(true);
  });
});
