import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';

/** One case of a published file, with what its group says. */
export interface VectorCase<Group, Test> {
  readonly group: Group;
  readonly test: Test;
}

const wycheproofFile = z.object({
  algorithm: z.string(),
  schema: z.string(),
  numberOfTests: z.int(),
  testGroups: z.array(z.looseObject({ tests: z.array(z.looseObject({})) })),
});
export type WycheproofFile = z.infer<typeof wycheproofFile>;

/** Ours, and whatever lies beside the checkout or where KEYWARD_VECTORS says: C2SP/wycheproof, testvectors_v1. */
const FOLDERS = ['test/vectors', process.env['KEYWARD_VECTORS'] ?? '../shared/vectors'];

/** Paths by name without `_test.json`, each once; ours first. */
export function wycheproofNames(): readonly string[] {
  const names = FOLDERS.flatMap((folder) => globSync(join(folder, '**', '*_test.json'))).map((path) => basename(path, '_test.json'));
  return [...new Set(names)].sort();
}

/** @throws Error where no folder has it, or it does not hold as many tests as it says */
export function wycheproof(name: string): WycheproofFile {
  const path = FOLDERS.flatMap((folder) => globSync(join(folder, '**', `${name}_test.json`)))[0];
  if (path === undefined) throw new Error(`${name}_test.json is nowhere.`);
  const file = wycheproofFile.parse(JSON.parse(readFileSync(path, 'utf8')));
  const found = file.testGroups.reduce((sum, { tests }) => sum + tests.length, 0);
  if (found !== file.numberOfTests) throw new Error(`${path} holds ${found} tests of ${file.numberOfTests}.`);
  return file;
}

/** Every case of a file, read by these schemas. */
export function casesOf<Group extends z.ZodType, Test extends z.ZodType>(
  { testGroups }: WycheproofFile,
  group: Group,
  test: Test,
): VectorCase<z.infer<Group>, z.infer<Test>>[] {
  return testGroups.flatMap((one) => one.tests.map((each) => ({ group: group.parse(one), test: test.parse(each) })));
}

type Fields = Readonly<Record<string, string>>;

/**
 * NIST's CAVP files (.rsp, .txt): `Name = value` lines in paragraphs, under lines in brackets that hold for what follows. `[Keylen = 256]`
 * is a field of the group, `[P-256,SHA-256]` its `name`, a word alone (`FAIL`) a field without value.
 */
export function parseRsp(text: string): VectorCase<Fields, Fields>[] {
  const cases: VectorCase<Fields, Fields>[] = [];
  let group: Record<string, string> = {};
  let inHeader = false;
  for (const paragraph of text.replaceAll('\r', '').split(/\n\s*\n/)) {
    const test: Record<string, string> = {};
    for (const line of paragraph.split('\n').filter((one) => one.trim() !== '' && !one.startsWith('#'))) {
      const bracketed = /^\[(.*)\]$/.exec(line.trim());
      if (bracketed !== null && !inHeader) group = {};
      inHeader = bracketed !== null;
      const [name = '', value] = (bracketed?.[1] ?? line).split(/\s*=\s*/);
      if (bracketed === null) test[name.trim()] = value?.trim() ?? '';
      else if (value === undefined) group['name'] = name;
      else group[name.trim()] = value.trim();
    }
    if (Object.keys(test).length > 0) cases.push({ group, test });
  }
  return cases;
}

/**
 * A key that makes the same HMACs: shorter ones are padded by zeros, and those longer than a block are hashed (RFC 2104, 2). Undefined
 * where none of this length does.
 */
export function equalHmacKey(key: Buffer, hash: string, bytes: number, blockBytes: number): Buffer | undefined {
  if (key.length > blockBytes) return createHash(hash).update(key).digest();
  return key.length > bytes ? undefined : Buffer.concat([key, Buffer.alloc(bytes - key.length)]);
}

/** How many ran, and how many did not, by reason. */
export class Counts {
  readonly #counts = new Map<string, number>();

  add(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  get all(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort());
  }
}

const INSTALLED = '/usr/lib/python3/dist-packages/cryptography_vectors';
export const NIST_PACKAGE = 'python3-cryptography-vectors';

/** NIST's and the RFCs' files, where Debian's package is installed. */
export const installedNistVectors: string | undefined = existsSync(INSTALLED) ? INSTALLED : undefined;
