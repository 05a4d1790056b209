import { CustodyUnavailable } from '#core';
import type { KeyHandle } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import { findOrCreate } from './find-or-create.js';
import { anyRoot, named, namedRoot, rootNumber, rootTemplate } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { refuseWeak, STAYS_INSIDE } from './refuse-weak.js';
import type { Template } from './template.js';

const REQUIRED = { ...STAYS_INSIDE, modifiable: false, encrypt: false, decrypt: false } as const;

interface Root {
  readonly number: number;
  readonly handle: KeyHandle;
}

/**
 * A tenant's roots: one, and while it is rotated two. Which one wrapped a blob, no row says: AES-KW refuses a blob of another root.
 * Handles are looked up once: finding an object takes 184 ms on a token with 10,000.
 */
export class TenantRoots {
  /** The newest first. */
  readonly #known = new Map<string, readonly Root[]>();

  constructor(private readonly token: OpenToken) {}

  /** The root with this number, to wrap with. @throws CustodyUnavailable when the tenant has no such root here. */
  of(tenant: string, number: number): KeyHandle {
    const is = (root: Root) => root.number === number;
    const found = this.#all(tenant).find(is) ?? this.#lookedUp(tenant).find(is);
    if (found === undefined) throw new CustodyUnavailable(`the tenant has no root ${number} on this token`);
    return found.handle;
  }

  has(tenant: string, number: number): boolean {
    try {
      this.of(tenant, number);
      return true;
    } catch (error) {
      if (error instanceof CustodyUnavailable) return false;
      throw error;
    }
  }

  /** Number of the newest one. @throws CustodyUnavailable when the tenant has none here. */
  newest(tenant: string): number {
    return this.#lookedUp(tenant)[0]!.number;
  }

  /** Number of the oldest one. @throws CustodyUnavailable when the tenant has none here. */
  oldest(tenant: string): number {
    return this.#lookedUp(tenant).at(-1)!.number;
  }

  /** Unwraps with whichever root fits. @throws CryptokiError when none does, CustodyUnavailable when there is none */
  unwrapping<T>(tenant: string, unwrap: (root: KeyHandle) => T): T {
    const known = this.#all(tenant);
    try {
      return withOneOf(known, unwrap);
    } catch (error) {
      // Another custodian may have made a root since, or destroyed one.
      const found = error instanceof CryptokiError ? this.#lookedUp(tenant) : known;
      if (numbersOf(found) === numbersOf(known)) throw error;
      return withOneOf(found, unwrap);
    }
  }

  /** Found or made, so that onboarding, or a rotation, can be repeated. */
  ensure(tenant: string, number: number): void {
    const { token } = this;
    const name = namedRoot(tenant, number);
    const root = findOrCreate(token, name, () => [makeRoot(token, name)]);
    refuseWeakRoot(token, root);
    this.#known.delete(tenant);
  }

  /** Of this one and newer ones nothing is destroyed. @throws CustodyUnavailable when it is not there. */
  destroyOlder(tenant: string, number: number): void {
    const roots = this.#lookedUp(tenant);
    if (!roots.some((root) => root.number === number)) throw new CustodyUnavailable(`the tenant has no root ${number} on this token`);
    this.#known.delete(tenant);
    for (const root of roots) if (root.number < number) this.token.cryptoki.destroy(this.token.holder, root.handle);
  }

  #all(tenant: string): readonly Root[] {
    return this.#known.get(tenant) ?? this.#lookedUp(tenant);
  }

  #lookedUp(tenant: string): readonly Root[] {
    const { token } = this;
    const found = token.find(anyRoot(tenant)).map((handle) => ({ number: this.#numberOf(tenant, handle), handle }));
    if (found.length === 0) throw new CustodyUnavailable('the tenant has no root on this token');
    if (new Set(found.map(({ number }) => number)).size < found.length)
      throw new CustodyUnavailable('several objects of one name on the token');
    for (const { handle } of found) refuseWeakRoot(token, handle);
    const roots = found.sort((one, other) => other.number - one.number);
    this.#known.set(tenant, roots);
    return roots;
  }

  #numberOf(tenant: string, root: KeyHandle): number {
    const label = this.token.cryptoki.attribute(this.token.holder, root, 'label').toString('latin1');
    const number = rootNumber(tenant, label);
    if (number === undefined) throw new CustodyUnavailable('a root has an unknown name');
    return number;
  }
}

const numbersOf = (roots: readonly Root[]): string => roots.map(({ number }) => number).join();

function withOneOf<T>(roots: readonly Root[], unwrap: (root: KeyHandle) => T): T {
  const [newest, ...older] = roots;
  try {
    return unwrap(newest!.handle);
  } catch (error) {
    if (!(error instanceof CryptokiError) || older.length === 0) throw error;
    return withOneOf(older, unwrap);
  }
}

const makeRoot = (token: OpenToken, name: Template): KeyHandle =>
  token.cryptoki.generateKey(token.holder, 'aes', rootTemplate(name, token.dialect.rootMechanisms));

export function ensureRoot(token: OpenToken, label: string): KeyHandle {
  const name = named(label);
  return findOrCreate(token, name, () => [makeRoot(token, name)]);
}

export const refuseWeakRoot = (token: OpenToken, root: KeyHandle): void => refuseWeak(token, 'a root', root, REQUIRED);
