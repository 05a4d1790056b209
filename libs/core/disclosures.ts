import { createHash, randomBytes } from 'node:crypto';
import { type DisclosureName, MAX_DISCLOSED } from '#contract';
import { BoundedMap } from './bounded-map.js';

/** RFC 9901 recommends 128 bits. */
const SALT_BYTES = 16;
const SHARED_KEPT = 1024;
/** How long records of a service share one: erasing a part of the log erases what may have been shared with it. */
export const SHARED_MS = 600_000;

/** A personal field of a record: the record holds its digest, the database the rest, until it is erased. */
export interface Disclosure {
  readonly name: DisclosureName;
  /** Whose it is, as records name them: an erasure goes by it. */
  readonly about: string;
  /** base64url of the JSON array of salt, name and value (RFC 9901 §4.2.1). */
  readonly text: string;
  /** base64url of the SHA-256 of `text`. */
  readonly digest: string;
  readonly shared: boolean;
  /** It is there already, so it need not travel with the next record. */
  stored: boolean;
}

/** What a caller sent is cut to what a line may hold, and nothing in it can forge one. */
export function disclose(name: DisclosureName, about: string, value: string, shared = false): Disclosure {
  const shown = value
    .replaceAll(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '?')
    .slice(0, MAX_DISCLOSED)
    .toWellFormed();
  const text = Buffer.from(JSON.stringify([randomBytes(SALT_BYTES).toString('base64url'), name, shown])).toString('base64url');
  return { name, about, text, digest: createHash('sha256').update(text).digest('base64url'), shared, stored: false };
}

/**
 * A service calls thousands of times a second from the same few addresses: records of ten minutes share a salt, so that they cost one
 * row and one hash. One a snapshot: an erasure moves the epoch, and no record is accepted with a salt that was erased.
 */
export class SharedDisclosures {
  readonly #known = new BoundedMap<string, { readonly until: number; readonly disclosure: Disclosure }>(SHARED_KEPT);

  of(name: DisclosureName, about: string, value: string, now: number): Disclosure {
    const whose = `${name} ${about} ${value}`;
    const known = this.#known.get(whose);
    if (known !== undefined && now < known.until) return known.disclosure;
    return this.#known.set(whose, { until: now + SHARED_MS, disclosure: disclose(name, about, value, true) }).disclosure;
  }
}
