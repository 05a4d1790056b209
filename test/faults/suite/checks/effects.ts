import type { StoredRecord } from '../../trail-of.js';
import type { Evidence } from '../evidence.js';

/** What a tenant's log, read from its beginning, says that there is. */
class Told {
  readonly keys = new Map<string, string>();
  readonly primaries = new Map<string, string>();
  readonly versions = new Map<string, string>();
  readonly aliases = new Map<string, string>();
  readonly stops = new Map<string, boolean>();
  policies = 0;

  /** One record of a success. */
  take({ op, body: { key, change = {} } }: StoredRecord): void {
    const text = (name: string) => change[name] as string;
    const { after } = (change['primaryVersion'] ?? {}) as { after?: string };
    switch (op) {
      case 'CreateKey':
        this.primaries.set(key!.id, key!.versionId!);
        this.versions.set(key!.versionId!, key!.id);
        if (change['alias'] !== undefined) this.aliases.set(text('alias'), key!.id);
        this.keys.set(key!.id, key!.state!);
        break;
      case 'CreateKeyVersion':
      case 'RotateKey':
        this.primaries.set(key!.id, after!);
        this.versions.set(after!, key!.id);
        break;
      case 'EnableKey':
      case 'DisableKey':
      case 'ScheduleKeyDeletion':
      case 'CancelKeyDeletion':
      case 'DestroyKey':
        this.keys.set(key!.id, key!.state!);
        break;
      case 'CreateAlias':
        this.aliases.set(text('alias'), key!.id);
        break;
      case 'DeleteAlias':
        this.aliases.delete(text('alias'));
        break;
      case 'Stop':
        this.stops.set(text('stopId'), false);
        break;
      case 'Lift':
        this.stops.set(text('stopId'), true);
        break;
      case 'PutPolicy':
        this.policies++;
        break;
    }
  }
}

/** Where the log and the tables differ: an effect without its record, or a record without its effect. */
export function effectsOf(tenant: string, { logs, states }: Evidence): string[] {
  const told = new Told();
  for (const record of logs.get(tenant)!) if (record.outcome === 'succeeded') told.take(record);
  const state = states.get(tenant)!;
  const compare = (what: string, said: ReadonlyMap<string, unknown>, found: readonly (readonly [string, unknown])[]) => {
    const is = new Map(found);
    return [...new Set([...said.keys(), ...is.keys()])]
      .filter((name) => said.get(name) !== is.get(name))
      .map((name) => `${tenant}, ${what} ${name}: the log says ${String(said.get(name))}, the table ${String(is.get(name))}`);
  };
  return [
    ...compare(
      'state of',
      told.keys,
      state.keys.map((one) => [one.keyId, one.state]),
    ),
    ...compare(
      'primary version of',
      told.primaries,
      state.keys.map((one) => [one.keyId, one.primary]),
    ),
    ...compare(
      'version',
      told.versions,
      state.versions.map((one) => [one.versionId, one.keyId]),
    ),
    ...compare(
      'owner of',
      told.aliases,
      state.aliases.map((one) => [one.alias, one.keyId]),
    ),
    ...compare(
      'lifting of',
      told.stops,
      state.stops.map((one) => [one.stopId, one.lifted]),
    ),
    ...(told.policies === state.policies.length ? [] : [`${tenant}: ${told.policies} policies told, ${state.policies.length} there`]),
  ];
}
