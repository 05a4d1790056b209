import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { WrappedKeyVersion } from '#core';
import type { aDraft } from '../../libs/testing/custody-contract.js';
import type { TestToken } from './test-bed.js';

/** A row before somebody with the PIN made it: of a secret key, or of SM2's private one, by its bytes, or of a pair by its public half. */
export type ImportedDraft = ReturnType<typeof aDraft> & { readonly key?: string; readonly publicKey?: string };

const SCRIPT = (library: string) => `
  import { readFileSync } from 'node:fs';
  import pkcs11js from 'pkcs11js';
  import { BindingKey } from '${library}/binding-key.js';
  import { Cryptoki } from '${library}/cryptoki.js';
  import { newbornVersion } from '${library}/key-templates.js';
  import { OpenToken } from '${library}/open-token.js';
  import { RandomPool } from '${library}/random-pool.js';
  import { isSoftware, SoftwareKeys } from '${library}/software-keys.js';
  import { nativeTemplate } from '${library}/template.js';
  import { TenantRoots } from '${library}/tenant-roots.js';
  const cryptoki = new Cryptoki(process.env.KEYWARD_HSM_MODULE);
  cryptoki.initialise();
  const token = OpenToken.open(cryptoki, process.env.KEYWARD_HSM_TOKEN, readFileSync(process.env.KEYWARD_HSM_PIN_FILE, 'utf8').trim());
  const raw = new pkcs11js.PKCS11();
  raw.load(process.env.KEYWARD_HSM_MODULE);
  const root = new TenantRoots(token).of('acme', 0);
  const binding = new BindingKey(token);
  const software = new SoftwareKeys(token, new RandomPool(token), true);
  const wrapped = (spec, key) => {
    if (isSoftware(spec)) return software.sealed(root, key);
    const { valueLen, ...template } = newbornVersion(spec);
    const handle = raw.C_CreateObject(token.holder, nativeTemplate({ ...template, value: key }));
    return cryptoki.wrap(token.holder, root, handle);
  };
  const rows = JSON.parse(readFileSync(0, 'utf8')).map(({ key, publicKey, ...draft }) => {
    const blob = key === undefined ? Buffer.alloc(40) : wrapped(draft.spec, Buffer.from(key, 'hex'));
    const protectionLevel = isSoftware(draft.spec) ? 'SOFTWARE' : 'SOFTWARE_TOKEN';
    const row = { ...draft, protectionLevel, blob, ...(publicKey && { publicKey: Buffer.from(publicKey, 'hex') }) };
    const mac = binding.mac(row).toString('hex');
    return { ...row, blob: blob.toString('hex'), publicKey, mac };
  });
  process.stdout.write(JSON.stringify(rows));`;

/** Puts keys of published vectors under acme's root and binds their rows, as only who holds the PIN can: in a process of its own. */
export function imported(token: TestToken, drafts: readonly ImportedDraft[]): WrappedKeyVersion[] {
  const script = SCRIPT(join(process.cwd(), 'dist/libs/custody/pkcs11'));
  const options = { env: token.env, encoding: 'utf8', input: JSON.stringify(drafts), maxBuffer: 1 << 26 } as const;
  const rows: Record<'blob' | 'mac' | 'publicKey', string | undefined>[] = JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], options),
  );
  return rows.map(({ blob, mac, publicKey, ...row }) => {
    const halves = { blob: hex(blob!), mac: hex(mac!), ...(publicKey !== undefined && { publicKey: hex(publicKey) }) };
    return { ...row, ...halves } as unknown as WrappedKeyVersion;
  });
}

const hex = (text: string) => Buffer.from(text, 'hex');
