import { Health } from './health.js';

const passing = () => Promise.resolve();
const failing = () => Promise.reject(new Error('connect ECONNREFUSED db.internal:5432'));

describe('readiness', () => {
  it('is ready without probes and with passing ones', async () => {
    const health = new Health();
    expect(await health.readiness()).toEqual({ status: 'ready' });
    health.register('database', passing);
    expect(await health.readiness()).toEqual({ status: 'ready' });
  });

  it('names the failing parts and nothing else', async () => {
    const health = new Health();
    health.register('database', failing);
    health.register('custodian', passing);
    health.register('trail', () => {
      throw new Error('synchronous');
    });
    expect(await health.readiness()).toEqual({ status: 'not-ready', reasons: ['database', 'trail'] });
  });

  it('does not wait for a probe that hangs', async () => {
    const health = new Health();
    health.register('custodian', () => new Promise(() => undefined));
    expect(await health.readiness()).toEqual({ status: 'not-ready', reasons: ['custodian'] });
  });

  it('is not ready while draining, whatever the probes say', async () => {
    const health = new Health();
    health.register('database', passing);
    health.startDraining();
    expect(await health.readiness()).toEqual({ status: 'not-ready', reasons: ['draining'] });
  });

  it('asks its parts once a second, however many want to know', async () => {
    jest.useFakeTimers();
    try {
      const probe = jest.fn(passing);
      const health = new Health();
      health.register('custodian', probe);
      await Promise.all([health.readiness(), health.readiness()]);
      await jest.advanceTimersByTimeAsync(900);
      await health.readiness();
      expect(probe).toHaveBeenCalledTimes(1);
      await jest.advanceTimersByTimeAsync(200);
      await health.readiness();
      expect(probe).toHaveBeenCalledTimes(2);
    } finally {
      jest.useRealTimers();
    }
  });

  it('is not ready as soon as it drains, whatever was just found', async () => {
    const health = new Health();
    expect(await health.readiness()).toEqual({ status: 'ready' });
    health.startDraining();
    expect(await health.readiness()).toEqual({ status: 'not-ready', reasons: ['draining'] });
  });

  it('refuses a second probe of the same name', () => {
    const health = new Health();
    health.register('database', passing);
    expect(() => health.register('database', passing)).toThrow(/already/);
  });
});
