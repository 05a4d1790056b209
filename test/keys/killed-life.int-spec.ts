import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onToken } from '../../apps/custodian/test-on-token.js';
import { wrapped } from '../../apps/cli/commands/wrapped-material.js';
import { seeded } from '../faults/random.js';
import { trailOf } from '../faults/trail-of.js';
import { type Answer, api, must } from '../stories/api.js';
import { hsmEnvironment } from '../stories/built.js';
import { type Onboarded, onboarded } from '../stories/onboarded.js';
import { aModel, type CommandName, COMMANDS, visible } from './key-model.js';
import { isUnheard, killCustodian, type Kill, KilledPlanes } from './killed-planes.js';

const SEED = Number(process.env['KEYWARD_TEST_SEED'] ?? 20261126);
/** About as many as pass in a call. */
const PIECES = { 'key-plane': 24, custodian: 6 };
type Step = readonly [command: CommandName, word?: string];
/** Imports from all sides, and what moves the state meanwhile. */
const IMPORTED: readonly Step[] = [
  ['import', 'a'],
  ['disable'],
  ['deleteMaterial'],
  ['schedule'],
  ['cancel'],
  ['import', 'b'],
  ['import', 'a'],
  ['import', 'b'],
  ['root'],
  ['schedule'],
];
const MADE: readonly Step[] = [['rotate'], ['rotate'], ['disable'], ['rotate'], ['schedule']];

/** Real processes, kill -9: whatever was told, or was not, a command is done once or not at all. */
describe(`the life of a key, whoever is killed between whichever two steps (seed ${SEED})`, () => {
  let world: Onboarded;
  let planes: KilledPlanes;
  const random = seeded(SEED);
  const below = (limit: number) => Math.floor(random() * limit);

  beforeAll(async () => {
    world = await onboarded();
    planes = await KilledPlanes.start(world.platform);
  }, 180_000);
  afterAll(async () => {
    planes?.stop();
    await world?.stop();
  }, 60_000);

  const from = (url: string, method: string, path: string, body?: object) =>
    api(url, world.acme.admin, method, `/v1/tenants/acme/${path}`, body);
  const ask = async (method: string, path: string, body?: object) =>
    (await must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme/${path}`, body)).body;
  const here = (call: (url: string) => Promise<Answer>) => () => call(world.platform.urls.keyPlane);
  const materialOf = (word: string) => createHash('sha256').update(word).digest();

  /** A token for the key, and the material under it. */
  async function wrappedFor(keyId: string, word: string, kill: Kill | undefined) {
    const algorithm = 'RSAES_OAEP_SHA_1';
    const parameters = (url: string) => from(url, 'POST', `keys/${keyId}/import-parameters`, { algorithm });
    await planes.dying(kill, parameters);
    const { importToken, statement } = (await patiently(here(parameters))).body;
    const wrappingKey = /^wrapping-key: (.*)$/m.exec(String(statement))?.[1] ?? '';
    return { importToken, encryptedKeyMaterial: wrapped(materialOf(word), { wrappingKey, algorithm }).toString('base64') };
  }

  async function callsOf(keyId: string, [command, word = '']: Step, kill: Kill | undefined): Promise<(url: string) => Promise<Answer>> {
    const post = (path: string, body: object = {}) => Promise.resolve((url: string) => from(url, 'POST', `keys/${keyId}/${path}`, body));
    switch (command) {
      case 'import': {
        const material = await wrappedFor(keyId, word, kill);
        return await post('import', material);
      }
      case 'deleteMaterial':
        return await post('delete-material');
      case 'schedule':
        return await post('schedule-deletion', { pendingDays: 7 });
      case 'cancel':
        return await post('cancel-deletion');
      case 'rotate':
        return await post('versions');
      case 'root':
        return (url) => from(url, 'POST', 'root/rotate');
      default:
        return await post(command);
    }
  }

  /** While the custodian comes back, nothing is known. */
  async function patiently(call: () => Promise<Answer>): Promise<Answer> {
    for (;;) {
      const answer = await call().catch((error: unknown) => {
        if (!isUnheard(error)) throw error;
        return undefined;
      });
      if (answer !== undefined && answer.status !== 503) return answer;
      await sleep(50);
    }
  }

  async function seen(keyId: string) {
    const key = await ask('GET', `keys/${keyId}`);
    const { items } = (await ask('GET', `keys/${keyId}/versions`)) as { items: object[] };
    const { root } = (await ask('GET', 'root')) as { root: number };
    const { state, deletionProtection, description, tags, aliases, primaryVersion, checkValue } = key;
    const told = { state, protected: deletionProtection, description, tags, aliases, versions: items.length, root };
    return { told, proven: { primaryVersion, checkValue } };
  }

  const successes = async (op: string, keyId: string) =>
    (await trailOf(world.platform.superuserUrl, 'acme')).filter(
      (record) => record.op === op && record.outcome === 'succeeded' && (record.body.key as { id?: string } | undefined)?.id === keyId,
    ).length;

  const killOf = (victim: Kill['victim']): Kill => ({ victim, piece: below(PIECES[victim]) });
  /** At last nobody dies. Each second import meets a custodian that dies, too. */
  const killsOf = (command: CommandName, index: number): (Kill | undefined)[] => {
    if (command !== 'import') return [killOf('key-plane'), undefined];
    return [killOf('key-plane'), killOf(index % 2 === 0 ? 'custodian' : 'key-plane'), undefined];
  };
  /** What these courses change. */
  const summary = ({ state, versions, root }: { state: unknown; versions: number; root: number }) =>
    JSON.stringify([state, versions, root]);
  const counts = { killed: 0, took: 0, lost: 0 };
  /** What each material was told by. */
  const checks = new Map<string, unknown>();

  it.each([
    ['EXTERNAL', IMPORTED],
    ['KEYWARD', MADE],
  ] as const)(
    'is what the model says, of a key of origin %s: each step once or not at all',
    async (origin, course) => {
      const { keyId } = (await ask('POST', 'keys', { keySpec: 'AES_256', origin })) as { keyId: string };
      let model = aModel(origin);
      for (const [index, step] of course.entries()) {
        const [command, word = ''] = step;
        const next = structuredClone(model);
        const refusal = COMMANDS[command](next, word);
        const before = await seen(keyId);
        const { root } = before.told;
        const [was, will] = [
          { ...visible(model), root },
          { ...visible(next), root: command === 'root' ? root + 1 : root },
        ];
        const call = await callsOf(keyId, step, killOf('key-plane'));
        const imports = await successes('ImportKeyMaterial', keyId);
        for (const kill of killsOf(command, index)) {
          const { answer, killed } = await planes.dying(kill, call);
          const told = kill === undefined && answer?.status === 503 ? await patiently(here(call)) : answer;
          const after = await seen(keyId);
          if (killed) counts.killed += 1;
          const hasAnswer = told !== undefined && told.status !== 503;
          // Undone, or done; what was answered is so.
          if (hasAnswer) expect([index, step, told.body['code']]).toEqual([index, step, refusal]);
          expect([index, hasAnswer ? [will] : [was, will]]).toEqual([index, expect.arrayContaining([after.told])]);
          let isDone = hasAnswer || summary(after.told) !== summary(was);
          if (command === 'import' && refusal === undefined) {
            const made = (await successes('ImportKeyMaterial', keyId)) - imports;
            isDone = made === 1;
            counts[isDone ? 'took' : 'lost'] += 1;
            expect([index, made]).toEqual([index, isDone ? 1 : 0]);
            // The primary version moves with its proof, or stays where it was.
            if (!isDone) expect(after.proven).toEqual(before.proven);
            else expect(after.proven.checkValue).toBe(checks.get(word) ?? after.proven.checkValue);
            if (isDone) checks.set(word, after.proven.checkValue);
            // Spent with what it made, and not before.
            if (isDone) expect((await patiently(here(call))).body).toMatchObject({ code: 'invalid-request' });
          }
          if (isDone) break;
        }
        if (refusal === undefined) model = next;
      }
    },
    240_000,
  );

  it('was killed, did, and did not', () => {
    expect(checks.get('a')).not.toBe(checks.get('b'));
    for (const times of Object.values(counts)) expect(times).toBeGreaterThan(0);
  });

  it('leaves nothing half made in the HSM; what a crash left so is swept, and what is complete is told and stays', async () => {
    const swept = async () => {
      const logFile = join(world.platform.dataDir.logs, 'custodian.log');
      const reports = () =>
        readFileSync(logFile, 'utf8')
          .split('\n')
          .filter((line) => line.includes('HSM connected'));
      const before = reports().length;
      killCustodian(world.platform);
      while (reports().length === before) await sleep(20);
      return JSON.parse(reports().at(-1)!) as { destroyed: number; complete: number };
    };
    const { destroyed, complete } = await swept();
    expect(destroyed).toBe(0);
    const env = await hsmEnvironment(world.platform);
    const planted = `
      const { rootTemplate, named } = await import(library + '/key-templates.js');
      const { id, ...halfMade } = rootTemplate(named('keyward/root/half-made'));
      cryptoki.generateKey(token.holder, 'aes', halfMade);
      cryptoki.generateKey(token.holder, 'aes', rootTemplate(named('keyward/root/without-a-row')));
      return 0;`;
    onToken({ env }, planted, 0);
    expect(await swept()).toMatchObject({ destroyed: 1, complete: complete + 1 });
    const found = `
      const { named } = await import(library + '/key-templates.js');
      return ['half-made', 'without-a-row'].map((name) => token.find(named('keyward/root/' + name)).length);`;
    expect(onToken({ env }, found, 0)).toEqual([0, 1]);
  }, 120_000);
});
