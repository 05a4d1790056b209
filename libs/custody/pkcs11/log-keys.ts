import { createHash } from 'node:crypto';
import { CustodyUnavailable, type LogAlgorithm } from '#core';
import { derOf } from '../ecdsa-der.js';
import type { KeyHandle, KeyPair } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import { findOrCreate, only } from './find-or-create.js';
import { edwardsPoint, spkiOf } from './key-pairs.js';
import { KEY_TYPE_OF_LOG, logKeyLabel, logPrivateKey, logPublicKey, named } from './key-templates.js';
import { ECDSA } from './mechanisms.js';
import type { OpenToken } from './open-token.js';
import { refuseWeak, STAYS_INSIDE } from './refuse-weak.js';
import { OBJECT_CLASS } from './template.js';
import type { Template } from './template.js';

interface LogKeyPair {
  readonly privateKey: KeyHandle;
  readonly algorithm: LogAlgorithm;
  readonly publicKey: Uint8Array;
}

/**
 * The keys that sign tenants' checkpoints: one a tenant, two while one takes over from the other. Numbered from 1; not one a log: an attempt
 * at onboarding that never got a row would leave its pair behind, and the next one would make another. That one key signs one tree a log is up
 * to SignedCheckpoints.
 */
export class LogKeys {
  readonly #pairs = new Map<string, LogKeyPair>();

  /** `wanted`: by the operator's will, not by what the module can. */
  constructor(
    private readonly token: OpenToken,
    private readonly wanted: LogAlgorithm | undefined,
  ) {}

  /** 32 bytes (Ed25519, RFC 8032), or SubjectPublicKeyInfo (P-256). @throws CustodyUnavailable when the tenant has no such log key here */
  publicKeyOf(tenant: string, number: number): Uint8Array {
    return this.#of(tenant, number).publicKey;
  }

  /** Ed25519, or ECDSA over SHA-256 as DER (C2SP signed-note, types 1 and 2). @throws as publicKeyOf */
  sign(tenant: string, number: number, body: string): Uint8Array {
    const { privateKey, algorithm } = this.#of(tenant, number);
    return signed(this.token, algorithm, privateKey, body);
  }

  /** Found or made, so that onboarding and rotation can be repeated; answers its public half. */
  ensure(tenant: string, number: number): Uint8Array {
    const label = logKeyLabel(tenant, number);
    const known = this.#pairs.get(label);
    if (known !== undefined) return known.publicKey;
    const privateKey = findOrCreate(this.token, privateName(label), () => this.#create(label));
    return this.#remember(label, privateKey).publicKey;
  }

  /**
   * Ends a key that the next one has replaced; one that is gone already is success. Attacker: whoever speaks for the worker, who could
   * otherwise silence a log. @throws CustodyUnavailable when there is no next one
   */
  destroy(tenant: string, number: number): void {
    const next = only(this.token, privateName(logKeyLabel(tenant, number + 1)));
    if (next === undefined) throw new CustodyUnavailable('a log key without a successor is not destroyed');
    const label = logKeyLabel(tenant, number);
    this.#pairs.delete(label);
    for (const object of this.token.find(named(label))) this.token.cryptoki.destroy(this.token.holder, object);
  }

  #of(tenant: string, number: number): LogKeyPair {
    const label = logKeyLabel(tenant, number);
    const known = this.#pairs.get(label);
    if (known !== undefined) return known;
    const found = only(this.token, privateName(label));
    if (found === undefined) throw new CustodyUnavailable('the tenant has no such log key on this token');
    return this.#remember(label, found);
  }

  #create(label: string): readonly KeyHandle[] {
    const algorithm = this.wanted ?? logAlgorithmOf(this.token) ?? 'Ed25519';
    const pair = generate(this.token, algorithm, { public: logPublicKey(algorithm, label), private: logPrivateKey(algorithm, label) });
    return [pair.privateKey, pair.publicKey];
  }

  #remember(label: string, privateKey: KeyHandle): LogKeyPair {
    const { cryptoki, holder } = this.token;
    refuseWeak(this.token, 'a log key', privateKey, STAYS_INSIDE);
    const open = only(this.token, { ...named(label), class: OBJECT_CLASS.public });
    if (open === undefined) throw new CustodyUnavailable('a log key has lost its public half');
    const isEdwards = cryptoki.attribute(holder, open, 'keyType').readUInt8() === KEY_TYPE_OF_LOG.Ed25519;
    const point = cryptoki.attribute(holder, open, 'ecPoint');
    const pair: LogKeyPair = isEdwards
      ? { privateKey, algorithm: 'Ed25519', publicKey: edwardsPoint(point) }
      : { privateKey, algorithm: 'ECDSA_P256', publicKey: spkiOf('EC_P256', point) };
    this.#pairs.set(label, pair);
    return pair;
  }
}

/**
 * What a log key can be here, as tried: Ed25519, without which a log may not be shown to public witnesses (C2SP tlog-tiles), else ECDSA on P-256.
 * Undefined where the module does neither.
 */
export const logAlgorithmOf = (token: OpenToken): LogAlgorithm | undefined =>
  (['Ed25519', 'ECDSA_P256'] as const).find((algorithm) => signsBy(token, algorithm));

/** Some modules make keys that they then do not sign with. */
function signsBy(token: OpenToken, algorithm: LogAlgorithm): boolean {
  const session = { token: false };
  const made: KeyHandle[] = [];
  try {
    const pair = generate(token, algorithm, {
      public: { ...logPublicKey(algorithm, 'try'), ...session },
      private: { ...logPrivateKey(algorithm, 'try'), ...session },
    });
    made.push(pair.publicKey, pair.privateKey);
    return signed(token, algorithm, pair.privateKey, 'try').length > 0;
  } catch (error) {
    if (error instanceof CryptokiError) return false;
    throw error;
  } finally {
    for (const handle of made) token.destroy(handle);
  }
}

function signed(token: OpenToken, algorithm: LogAlgorithm, key: KeyHandle, body: string): Uint8Array {
  const { cryptoki } = token;
  if (algorithm === 'Ed25519') return token.operate((session) => cryptoki.signEd25519(session, key, Buffer.from(body)));
  const digest = createHash('sha256').update(body).digest();
  return derOf(token.operate((session) => cryptoki.sign(session, ECDSA, key, digest, 64)));
}

function generate(
  token: OpenToken,
  algorithm: LogAlgorithm,
  templates: { readonly public: Template; readonly private: Template },
): KeyPair {
  const { cryptoki, holder } = token;
  return algorithm === 'Ed25519'
    ? cryptoki.generateEd25519(holder, templates.public, templates.private)
    : cryptoki.generateEc(holder, templates.public, templates.private);
}

const privateName = (label: string): Template => ({ ...named(label), class: OBJECT_CLASS.private });
