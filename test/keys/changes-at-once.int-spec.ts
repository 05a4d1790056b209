import fc from 'fast-check';
import type { Alias, KeyDescription, KeyId, RecordBody } from '#contract';
import { KeywardError } from '#core';
import { ACME, freshAlias, KeyWorld } from './key-world.js';

type Names = { [Name in 'state' | 'primaryVersion']: KeyDescription[Name] } & { aliases: Set<string>; tags: Map<string, string> };
interface Command {
  readonly op: (typeof OPERATIONS)[number];
  readonly key: number;
  readonly alias: number;
  readonly tag: string;
  readonly value: string;
}

const KEYS = 3;
const OPERATIONS = [
  ...(['CreateAlias', 'UpdateAlias', 'DeleteAlias', 'TagKey', 'UntagKey', 'CreateKeyVersion'] as const),
  ...(['EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'Encrypt'] as const),
];
const command = fc.record({
  op: fc.constantFrom(...OPERATIONS),
  key: fc.nat(KEYS - 1),
  alias: fc.nat(2),
  tag: fc.constantFrom('team', 'stage'),
  value: fc.constantFrom('blue', 'red'),
});

/** What the keys were, one record after the other: every record that succeeded must have been possible when its turn came. */
class Model {
  constructor(readonly keys: ReadonlyMap<string, Names>) {}

  apply({ op, key, change = {} }: RecordBody): void {
    const names = this.keys.get(key!.id)!;
    const alias = told(change['alias']);
    /** What was changed, as it was and as it is; a change to the same is none. */
    const changed = (field: string, present: unknown) => {
      const found = change[field];
      return typeof found === 'object' && found !== null ? found : { before: present, after: present };
    };
    const owner = this.#ownerOf(alias);
    switch (op) {
      case 'CreateAlias':
        expect(owner).toBeUndefined();
        names.aliases.add(alias);
        break;
      case 'UpdateAlias':
        expect(owner).toBe(changed('keyId', key!.id).before);
        this.keys.get(owner!)!.aliases.delete(alias);
        names.aliases.add(alias);
        break;
      case 'DeleteAlias':
        expect(names.aliases.delete(alias)).toBe(true);
        break;
      case 'TagKey':
      case 'UntagKey':
        for (const [field, text] of Object.entries(change)) this.#retag(names.tags, field, told(text));
        expect(names.tags.size).toBe(change['tags']);
        break;
      case 'CreateKeyVersion':
        expect([names.state, names.primaryVersion]).toEqual(['Enabled', changed('primaryVersion', undefined).before]);
        names.primaryVersion = changed('primaryVersion', undefined).after as Names['primaryVersion'];
        break;
      case 'Encrypt':
        expect([names.state, names.primaryVersion]).toEqual(['Enabled', key!.versionId]);
        if (key!.aliasUsed !== undefined) expect([...names.aliases]).toContain(key!.aliasUsed);
        break;
      default:
        expect(names.state).toBe(changed('state', names.state).before);
        names.state = changed('state', names.state).after as Names['state'];
    }
  }

  #ownerOf = (alias: string) => [...this.keys].find(([, { aliases }]) => aliases.has(alias))?.[0];

  #retag(tags: Map<string, string>, field: string, text: string): void {
    const [name, value] = text.split('=') as [string, string];
    if (field.startsWith('untag')) expect(tags.delete(name)).toBe(true);
    else if (field !== 'tags') tags.set(name, value);
  }
}

const told = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '');

describe('changes of the same keys, by two admins at two replicas, while a service uses them', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const run = ({ op, key, alias, tag, value }: Command, keys: readonly KeyId[], aliases: readonly Alias[], replica: 0 | 1) => {
    const [keyId, name] = [keys[key]!, aliases[alias]!];
    const admin: KeyWorld['admin'] = (operation, input) => world.admin(operation, input, ACME, replica);
    switch (op) {
      case 'CreateAlias':
      case 'UpdateAlias':
        return admin(op, { alias: name, keyId });
      case 'DeleteAlias':
        return admin(op, { alias: name });
      case 'TagKey':
        return admin(op, { keyId, tags: { [tag]: value } });
      case 'UntagKey':
        return admin(op, { keyId, names: [tag] });
      case 'ScheduleKeyDeletion':
        return admin(op, { keyId, pendingDays: 7 });
      case 'Encrypt':
        return world.service(op, { keyId: value === 'blue' ? name : keyId, plaintext: Buffer.from('x') });
      default:
        return admin(op, { keyId });
    }
  };
  const recordsSince = async (seq: number): Promise<RecordBody[]> => {
    const { rows } = await world.database.as('superuser', (client) =>
      client.query<{ body: RecordBody }>(
        `SELECT convert_from(bytes, 'UTF8')::json AS body FROM keyward.trail_record WHERE tenant_id = 'acme' AND seq >= $1 ORDER BY seq`,
        [seq],
      ),
    );
    return rows.map(({ body }) => body);
  };
  const namesOf = ({ state, primaryVersion, aliases, tags }: KeyDescription): Names => ({
    ...{ state, primaryVersion, aliases: new Set(aliases), tags: new Map(Object.entries(tags)) },
  });

  it('happen one after the other, as the trail tells, and leave every key bound to its names', async () => {
    const lanes = fc.array(fc.array(command, { minLength: 2, maxLength: 8 }), { minLength: 3, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(lanes, async (work) => {
        const aliases = Array.from({ length: 3 }, freshAlias);
        const made = await Promise.all(Array.from({ length: KEYS }, () => world.create()));
        const keys = made.map(({ keyId }) => keyId);
        const from = (await recordsSince(0)).length;
        const defects: string[] = [];
        await Promise.all(
          work.map(async (commands, lane) => {
            for (const one of commands) {
              const error = await run(one, keys, aliases, lane % 2 === 0 ? 0 : 1).then(() => undefined, defectOf);
              if (error !== undefined) defects.push(`${one.op}: ${error}`);
            }
          }),
        );
        expect(defects).toEqual([]);
        const model = new Model(new Map(made.map((key) => [key.keyId, namesOf(key)])));
        for (const record of await recordsSince(from)) if (record.outcome === 'succeeded') model.apply(record);
        for (const keyId of keys) {
          // Neither replica would answer for a key whose names are not bound; the service's must find it by every one of them.
          const [one, other] = await Promise.all(([0, 1] as const).map((replica) => world.admin('DescribeKey', { keyId }, ACME, replica)));
          expect(namesOf(one!)).toEqual(model.keys.get(keyId));
          expect(other).toEqual(one);
          for (const alias of one!.aliases)
            if (one!.state === 'Enabled') expect(await world.service('GenerateDataKey', { keyId: alias })).toMatchObject({ keyId });
        }
      }),
      { numRuns: 25, endOnFailure: true },
    );
  });
});

/** Undefined for a rule's refusal, or when two changes came first. */
function defectOf(error: unknown): string | undefined {
  if (!(error instanceof KeywardError)) return String(error);
  const defect = error.code === 'unavailable' ? error.reason !== 'trail: stale twice' : error.code === 'internal';
  return defect ? `${error.code} ${error.reason}` : undefined;
}
