import { z } from 'zod';
import { line } from './text.js';

/**
 * Personal fields of a call. A record holds a salted digest of each, never the value: value and salt stand elsewhere, and can be erased
 * without a word of the record changing (as SD-JWT, RFC 9901).
 * `person` and `subject`: whom a change is about. `reason`: a person's own words.
 */
export const DISCLOSURE_NAMES = ['sourceIp', 'userAgent', 'userName', 'person', 'subject', 'reason'] as const;
export const disclosureName = z.enum(DISCLOSURE_NAMES);
export type DisclosureName = z.infer<typeof disclosureName>;

export const MAX_DISCLOSURES = 8;
/** Of the value, in characters; longer ones are cut. */
export const MAX_DISCLOSED = 512;

/** base64url of 32 bytes. */
export const disclosureDigest = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** Salt of at least 128 bits, name, value: of its JSON the digest is made. */
export const saltedField = z.tuple([z.string().min(22).max(128), disclosureName, line(MAX_DISCLOSED)]);

/** A personal field as lists show it, while it is not erased. */
export const shownDisclosure = z
  .object({
    digest: disclosureDigest.meta({ description: 'as `_sd` of the records that carry it' }),
    disclosure: z.string().meta({ description: 'base64url of the JSON array of salt, name and value; `digest` is its SHA-256' }),
    name: disclosureName,
    value: line(MAX_DISCLOSED),
  })
  .meta({ id: 'Disclosure' });
export type ShownDisclosure = z.infer<typeof shownDisclosure>;
