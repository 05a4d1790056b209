import { setTimeout as sleep } from 'node:timers/promises';
import { softhsmModule } from '../../apps/custodian/test-bed.js';
import { type Ckr, FaultyModule } from '../hsm/faulty-module.js';
import { api, must } from '../stories/api.js';
import { type Onboarded, onboarded } from '../stories/onboarded.js';
import { type Load, type Outcome, startLoad } from './load.js';
import { trailOf } from './trail-of.js';

const CLIENTS = 32;
const FAULTS: readonly [string, readonly string[], Parameters<FaultyModule['inject']>[1]][] = [
  ['is removed', ['*'], { fail: 'DEVICE_REMOVED' }],
  ['forgets its sessions', ['C_UnwrapKey', 'C_EncryptInit', 'C_FindObjectsInit'], { fail: 'SESSION_HANDLE_INVALID' }],
  ['forgets who logged in', ['C_UnwrapKey', 'C_DecryptInit'], { fail: 'USER_NOT_LOGGED_IN' }],
  ['fails to encrypt', ['C_Encrypt'], { fail: 'DEVICE_ERROR' }],
  ['encrypts and says that it did not', ['C_Encrypt'], { late: 'GENERAL_ERROR' }],
  ['has no random numbers', ['C_GenerateRandom'], { fail: 'FUNCTION_FAILED' }],
  ['takes longer than a plane waits', ['C_EncryptInit'], { sleepMs: 1300 }],
];

/** A whole platform on a module that fails on demand: planes answer 503, nothing wrong, nothing unrecorded, and recover by themselves. */
describe('while the HSM', () => {
  let faulty: FaultyModule;
  let world: Onboarded;

  beforeAll(async () => {
    faulty = new FaultyModule(softhsmModule());
    world = await onboarded({ dataPlanes: 2, env: { ...faulty.env, KEYWARD_CUSTODIAN_HANG_MS: '1500' } });
  }, 180_000);
  afterAll(async () => {
    await world?.stop();
    faulty?.remove();
  }, 60_000);

  const plane = () => world.platform.urls.dataPlanes[0]!;
  const planes = () => [...world.platform.processes].filter(([name]) => name !== 'custodian').map(([name, { pid }]) => [name, pid]);

  async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
    for (const deadline = performance.now() + 60_000; !(await holds()); await sleep(20))
      if (performance.now() > deadline) throw new Error('It did not come to pass within 60 s.');
  }
  const untilSeen = (load: Load, status: number) => {
    const since = performance.now();
    return until(() => load.outcomes.some((outcome) => outcome.status === status && outcome.sentAt > since));
  };

  /** What a client was given opens again to what it was given; each has one record, and each refusal may be tried again. */
  async function expectHonest(outcomes: readonly Outcome[]): Promise<void> {
    expect([...new Set(outcomes.map(({ status }) => status))].sort()).toEqual([200, 503]);
    const successes = new Map<string, number>();
    for (const { outcome, requestId } of await trailOf(world.platform.superuserUrl, 'acme'))
      if (outcome === 'succeeded') successes.set(requestId, (successes.get(requestId) ?? 0) + 1);
    const answered = outcomes.filter(({ status }) => status === 200);
    expect(answered.filter(({ requestId }) => successes.get(requestId!) !== 1)).toEqual([]);
    for (const { body } of outcomes.filter(({ status }) => status === 503).slice(-50))
      expect(JSON.parse(body.toString())).toMatchObject({ code: 'unavailable', retryable: true });
    for (const { body } of answered.slice(-50)) {
      const { ciphertext, plaintext } = JSON.parse(body.toString()) as Record<string, string>;
      const opened = await must(plane(), world.billing, 'POST', '/v1/tenants/acme/decrypt', {
        ciphertext,
        encryptionContext: { purpose: 'invoice' },
      });
      expect(opened.body['plaintext']).toBe(plaintext);
    }
  }

  /** From well to ill and back, under load. */
  async function fallIllAndRecover(fault: () => void, heal: () => void): Promise<void> {
    const before = planes();
    const load = startLoad(world.platform.urls.dataPlanes, world.billing, CLIENTS);
    try {
      await untilSeen(load, 200);
      fault();
      await untilSeen(load, 503);
      heal();
      await untilSeen(load, 200);
    } finally {
      faulty.heal();
      await load.stop();
    }
    await expectHonest(load.outcomes);
    expect(planes()).toEqual(before);
  }

  it.each(FAULTS)(
    '%s, planes answer 503, and afterwards 200 without a restart',
    async (_what, functions, fault) => {
      await fallIllAndRecover(
        () => faulty.inject(functions, fault),
        () => faulty.heal(),
      );
    },
    120_000,
  );

  it('hangs, its process is killed and another one serves', async () => {
    await fallIllAndRecover(
      () => faulty.inject(['C_Encrypt'], { hang: true }, 'once'),
      () => undefined,
    );
  }, 120_000);

  it.each([['C_GenerateKey', 'DEVICE_ERROR'] as const, ['C_WrapKey', 'GENERAL_ERROR'] as const] satisfies [string, Ckr][])(
    'makes a key and says that it did not (%s), the call is not repeated: no row, one record of a failure',
    async (name, code) => {
      const keys = async () => (await must(world.platform.urls.keyPlane, world.acme.admin, 'GET', '/v1/tenants/acme/keys')).body;
      const [before, calls] = [await keys(), faulty.calls(name)];
      faulty.inject([name], { late: code }, 'once');
      const answer = await api(world.platform.urls.keyPlane, world.acme.admin, 'POST', '/v1/tenants/acme/keys', {});
      expect([answer.status, answer.body]).toEqual([503, expect.objectContaining({ code: 'unavailable', retryable: true })]);
      expect([faulty.healed, faulty.calls(name) - calls, await keys()]).toEqual([true, 1, before]);
      const records = await trailOf(world.platform.superuserUrl, 'acme', answer.seq);
      expect(records.filter(({ requestId }) => requestId === answer.requestId)).toMatchObject([
        { op: 'CreateKey', outcome: 'failed', body: { error: { reason: 'custody: the HSM is not available' } } },
      ]);
    },
    60_000,
  );

  it('is away, the planes stay alive and are not ready', async () => {
    const probe = async (path: string) => (await fetch(new URL(path, plane()))).status;
    faulty.inject(['*'], { fail: 'TOKEN_NOT_PRESENT' });
    try {
      await until(async () => (await probe('/readyz')) === 503);
      expect(await probe('/livez')).toBe(200);
    } finally {
      faulty.heal();
    }
    await until(async () => (await probe('/readyz')) === 200);
  }, 60_000);
});
