import { CustodyUnavailable } from '#core';
import type { KeyHandle } from './cryptoki.js';
import { findOrCreate, only } from './find-or-create.js';
import { logKeyLabel, logPrivateKey, logPublicKey, named } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { OBJECT_CLASS } from './template.js';
import type { Template } from './template.js';

export interface LogKeyPair {
  readonly privateKey: KeyHandle;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/**
 * The Ed25519 keys that sign tenants' checkpoints, one a tenant. Not one a log: an attempt at onboarding that never got a row
 * would leave its pair behind, and the next one would make another. That one key signs one tree a log is up to SignedCheckpoints.
 */
export class LogKeys {
  readonly #pairs = new Map<string, LogKeyPair>();

  constructor(private readonly token: OpenToken) {}

  /** @throws CustodyUnavailable when the tenant has no log key here. */
  of(tenant: string): LogKeyPair {
    const label = logKeyLabel(tenant);
    const known = this.#pairs.get(label);
    if (known !== undefined) return known;
    const found = only(this.token, privateName(label));
    if (found === undefined) throw new CustodyUnavailable('the tenant has no log key on this token');
    return this.#remember(label, found);
  }

  /** Found or made, so that onboarding can be repeated. */
  ensure(tenant: string): LogKeyPair {
    const label = logKeyLabel(tenant);
    return (
      this.#pairs.get(label) ??
      this.#remember(
        label,
        findOrCreate(this.token, privateName(label), () => this.#create(label)),
      )
    );
  }

  #create(label: string): readonly KeyHandle[] {
    const { cryptoki, holder } = this.token;
    const pair = cryptoki.generateEd25519(holder, logPublicKey(label), logPrivateKey(label));
    return [pair.privateKey, pair.publicKey];
  }

  #remember(label: string, privateKey: KeyHandle): LogKeyPair {
    const open = only(this.token, { ...named(label), class: OBJECT_CLASS.public });
    if (open === undefined) throw new CustodyUnavailable('a log key has lost its public half');
    const pair = { privateKey, publicKey: rawPoint(this.token.cryptoki.attribute(this.token.holder, open, 'ecPoint')) };
    this.#pairs.set(label, pair);
    return pair;
  }
}

const privateName = (label: string): Template => ({ ...named(label), class: OBJECT_CLASS.private });

/** Modules answer CKA_EC_POINT as a DER octet string (04 20 ‖ 32 bytes) or raw. */
function rawPoint(point: Buffer): Uint8Array {
  const raw = point.length === 34 && point[0] === 0x04 && point[1] === 0x20 ? point.subarray(2) : point;
  if (raw.length !== 32) throw new CustodyUnavailable('the module answered an unknown form of an Ed25519 point');
  return Uint8Array.from(raw);
}
