import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkoutPath } from '#runtime';

/** CK_RVs (PKCS#11 2.40, §5.1) that a lost or confused HSM answers. */
export const CKR = {
  GENERAL_ERROR: 0x05,
  FUNCTION_FAILED: 0x06,
  DEVICE_ERROR: 0x30,
  DEVICE_MEMORY: 0x31,
  DEVICE_REMOVED: 0x32,
  KEY_HANDLE_INVALID: 0x60,
  OPERATION_NOT_INITIALIZED: 0x91,
  SESSION_CLOSED: 0xb0,
  SESSION_HANDLE_INVALID: 0xb3,
  TOKEN_NOT_PRESENT: 0xe0,
  USER_NOT_LOGGED_IN: 0x101,
  CRYPTOKI_NOT_INITIALIZED: 0x190,
} as const;
export type Ckr = keyof typeof CKR;

/** What happens at a call: see faulty.c. `late`: it was done, and nobody is told. */
type Fault = { readonly sleepMs: number } | { readonly hang: true } | { readonly fail: Ckr } | { readonly late: Ckr };

/** Any vendor's module behind one that fails on demand, in every process that is started with `env`. */
export class FaultyModule {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kw-faulty-'));
  readonly #control = join(this.#folder, 'control');
  readonly #log = join(this.#folder, 'log');
  readonly env: Readonly<Record<string, string>>;

  constructor(behind: string) {
    this.env = {
      KEYWARD_HSM_MODULE: compiled(),
      KEYWARD_FAULTY_MODULE: behind,
      KEYWARD_FAULTY_CONTROL: this.#control,
      KEYWARD_FAULTY_LOG: this.#log,
    };
  }

  /** From now on, instead of what was injected before. `once`: at one call only, of whichever process comes first. */
  inject(functions: readonly string[], fault: Fault, times: 'always' | 'once' = 'always'): void {
    const rule = ruleOf(fault);
    const next = `${this.#control}.next`;
    writeFileSync(next, functions.map((name) => `${name} ${rule}${times === 'once' ? ' once' : ''}\n`).join(''));
    renameSync(next, this.#control);
  }

  heal(): void {
    rmSync(this.#control, { force: true });
  }

  /** Whether a fault that was injected `once` has happened. */
  get healed(): boolean {
    return !existsSync(this.#control);
  }

  /** How often a function was called, since the beginning. */
  calls(name: string): number {
    if (!existsSync(this.#log)) return 0;
    return readFileSync(this.#log, 'utf8')
      .split('\n')
      .filter((line) => line === name).length;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function ruleOf(fault: Fault): string {
  if ('hang' in fault) return 'hang 0';
  if ('sleepMs' in fault) return `sleep ${fault.sleepMs}`;
  return 'fail' in fault ? `fail 0x${CKR[fault.fail].toString(16)}` : `late 0x${CKR[fault.late].toString(16)}`;
}

/** The shim, compiled by the compiler that npm install needed for pkcs11js, once a version of its source. */
function compiled(): string {
  const source = checkoutPath('test', 'hsm', 'faulty.c');
  const name = `keyward-faulty-${createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16)}.so`;
  const path = join(tmpdir(), name);
  if (existsSync(path)) return path;
  const unfinished = `${path}.${process.pid}`;
  const headers = checkoutPath('node_modules', 'pkcs11js', 'includes', 'pkcs11');
  const flags = ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', `-I${headers}`];
  execFileSync(process.env['CC'] ?? 'cc', [...flags, '-o', unfinished, source, '-ldl'], { stdio: ['ignore', 'ignore', 'inherit'] });
  renameSync(unfinished, path);
  return path;
}
