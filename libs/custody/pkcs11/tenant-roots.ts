import { CustodyUnavailable } from '#core';
import type { KeyHandle } from './cryptoki.js';
import { findOrCreate, only } from './find-or-create.js';
import { named, rootLabel, rootTemplate } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import type { AttributeName } from './template.js';

const REQUIRED: Readonly<Partial<Record<AttributeName, boolean>>> = {
  sensitive: true,
  extractable: false,
  alwaysSensitive: true,
  neverExtractable: true,
  modifiable: false,
  encrypt: false,
  decrypt: false,
};

/** Roots by label. Handles are looked up once: finding an object takes 184 ms on a token with 10,000. */
export class TenantRoots {
  readonly #handles = new Map<string, KeyHandle>();

  constructor(private readonly token: OpenToken) {}

  /** @throws CustodyUnavailable when the tenant has no root here. */
  of(tenant: string): KeyHandle {
    const known = this.#handles.get(tenant);
    if (known !== undefined) return known;
    const found = only(this.token, named(rootLabel(tenant)));
    if (found === undefined) throw new CustodyUnavailable('the tenant has no root on this token');
    return this.#remember(tenant, found);
  }

  /** Found or made, so that onboarding can be repeated. */
  ensure(tenant: string): void {
    if (!this.#handles.has(tenant)) this.#remember(tenant, ensureRoot(this.token, rootLabel(tenant)));
  }

  #remember(tenant: string, root: KeyHandle): KeyHandle {
    refuseWeakRoot(this.token, root);
    this.#handles.set(tenant, root);
    return root;
  }
}

export function ensureRoot(token: OpenToken, label: string): KeyHandle {
  return findOrCreate(token, named(label), () => [
    token.cryptoki.generateKey(token.holder, 'aes', rootTemplate(label, token.dialect.rootMechanisms)),
  ]);
}

/** An object of the right name is not yet a root: whoever has the PIN could have put a readable one there. */
export function refuseWeakRoot(token: OpenToken, root: KeyHandle): void {
  for (const [name, wanted] of Object.entries(REQUIRED) as [AttributeName, boolean][]) {
    const is = token.cryptoki.attribute(token.holder, root, name)[0] === 1;
    if (is !== wanted) throw new CustodyUnavailable(`a root has ${name} = ${is}`);
  }
}
