import type { TenantId } from '#contract';
import { type Call, PROBLEMS, type RateLimitsOfTenant } from '#core';
import { TenantRates } from './tenant-rates.js';

const call = (role: 'service' | 'admin' | 'operator', home: string, tenant: string) =>
  ({ principal: { role, tenant: home }, tenant }) as Pick<Call, 'principal' | 'tenant'>;
const [billing, payroll] = [call('service', 'platform', 'acme'), call('service', 'platform', 'globex')];

describe('the quotas of calls', () => {
  let now = 0;
  let rates: TenantRates;
  const limited = async (limits: RateLimitsOfTenant) => {
    rates.follow({ rateQuotas: () => Promise.resolve(new Map([['acme' as TenantId, limits]])) }, () => undefined);
    await Promise.resolve();
  };
  beforeEach(() => {
    now = 0;
    rates = new TenantRates(() => now);
  });
  afterEach(() => rates.close());

  const refusals = (times: number, spend: () => void): number => {
    let refused = 0;
    for (let n = 0; n < times; n++)
      try {
        spend();
      } catch (error) {
        expect(error).toMatchObject({ code: 'too-many-requests' });
        refused++;
      }
    return refused;
  };

  it('hold for all callers of a tenant together, a second or ten at a time, and name quota and limit', async () => {
    await limited({ useRate: 5, manageRate: 10 });
    expect(refusals(7, () => rates.admit('use', billing))).toBe(2);
    expect(() => rates.admit('use', billing)).toThrow('The quota `useRate` of this tenant is 5.');
    now = 999;
    expect(refusals(1, () => rates.admit('use', billing))).toBe(1);
    now = 1000;
    expect(refusals(5, () => rates.admit('use', billing))).toBe(0);
    expect(refusals(101, () => rates.admit('manage', call('admin', 'acme', 'acme')))).toBe(1);
    expect(() => rates.admit('manage', call('admin', 'acme', 'acme'))).toThrow(expect.objectContaining({ retryAfterSeconds: 10 }));
    expect(PROBLEMS['too-many-requests'].retryable).toBe(true);
  });

  it("take nothing from another tenant, and a person's calls count at home, whatever they name", async () => {
    await limited({ useRate: 1, readRate: 10 });
    expect(refusals(3, () => rates.admit('use', billing))).toBe(2);
    expect(refusals(100, () => rates.admit('use', payroll))).toBe(0);
    expect(refusals(100, () => rates.admit('read', call('admin', 'globex', 'acme')))).toBe(0);
    expect(refusals(101, () => rates.admit('read', call('admin', 'acme', 'globex')))).toBe(1);
  });

  it('let a batch pass while there is room, and make it owe what goes beyond', async () => {
    await limited({ useRate: 10 });
    const batch = () => {
      rates.admit('use', billing);
      rates.count('use', billing, 24);
    };
    expect(refusals(2, batch)).toBe(1);
    expect(() => rates.admit('use', billing)).toThrow(expect.objectContaining({ retryAfterSeconds: 2 }));
    now = 1000;
    expect(refusals(1, () => rates.admit('use', billing))).toBe(1);
    now = 2000;
    expect(refusals(6, () => rates.admit('use', billing))).toBe(1);
    now = 60_000;
    expect(refusals(10, () => rates.admit('use', billing))).toBe(0);
  });

  it('leave some changes and reads to each credential, whatever others of its tenant do', async () => {
    await limited({ useRate: 1, manageRate: 10, readRate: 10 });
    const by = (name: string) => {
      const { principal, tenant } = call('admin', 'acme', 'acme');
      return { principal: { ...principal, credentialId: `crd_${name}` as never }, tenant };
    };
    for (const rateClass of ['manage', 'read'] as const) {
      expect(refusals(1000, () => rates.admit(rateClass, by('loop')))).toBe(900);
      expect(refusals(11, () => rates.admit(rateClass, by('alice')))).toBe(1);
      expect(refusals(11, () => rates.admit(rateClass, by('bob')))).toBe(1);
    }
    expect(refusals(2, () => rates.admit('use', by('loop')))).toBe(1);
    expect(refusals(1, () => rates.admit('use', by('alice')))).toBe(1);
    now = 10_000;
    expect(refusals(100, () => rates.admit('read', by('loop')))).toBe(0);
    expect(refusals(11, () => rates.admit('read', by('alice')))).toBe(1);
  });

  it('do not hold for the platform itself', () => {
    expect(refusals(10_000, () => rates.admit('manage', call('operator', 'platform', 'platform')))).toBe(0);
  });

  it('are the standard ones where none is set, and stay as they were while nobody can read them', async () => {
    expect(refusals(3001, () => rates.admit('manage', call('admin', 'acme', 'acme')))).toBe(1);
    await limited({ useRate: 1 });
    const failures: unknown[] = [];
    const failed = Promise.withResolvers<void>();
    rates.follow({ rateQuotas: () => Promise.reject(new Error('away')) }, (error) => {
      failures.push(error);
      failed.resolve();
    });
    await failed.promise;
    expect([failures.length, refusals(2, () => rates.admit('use', billing))]).toEqual([1, 1]);
  });
});
