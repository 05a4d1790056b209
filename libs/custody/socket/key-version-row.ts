import { KEY_ORIGINS, KEY_SPECS, KEY_USAGES, keyId, keyVersionId, tenantId } from '#contract';
import { KeyBindingBroken } from '#core';
import type { KeyVersionDraft, WrappedKeyVersion } from '#core';
import { z } from 'zod';
import type { PresentedVersion } from '../presented-version.js';
import { messages } from './wire.js';

const bytes = (min: number, max: number) => z.instanceof(Uint8Array).refine((value) => value.length >= min && value.length <= max);
const name = z.string().min(1).max(200);
const DRAFT = [tenantId, keyId, keyVersionId, z.enum(KEY_SPECS), z.enum(KEY_USAGES), z.enum(KEY_ORIGINS), name] as const;
const draftTuple = z.tuple([...DRAFT]);
/** Of a destroyed version none is left, and of one that waits for its material. */
const blob = z.instanceof(Uint8Array).refine(({ length }) => length === 0 || (length >= 16 && length <= 4096));
/** Behind it: the public half, of a key pair; what is known of its import, of imported material. */
const imported = z.tuple([bytes(16, 64), z.int().min(0), z.boolean()]);
const rowTuple = z.tuple(
  [...DRAFT, z.enum(['HSM', 'SOFTWARE_TOKEN', 'SOFTWARE']), blob, bytes(32, 32)],
  z.union([bytes(1, 1024), imported]),
);

const draftFields = ({ tenant, keyId, versionId, spec, usage, origin, logId }: KeyVersionDraft) => [
  tenant,
  keyId,
  versionId,
  spec,
  usage,
  origin,
  logId,
];

export const encodeDraft = (draft: KeyVersionDraft): Uint8Array => Uint8Array.from(messages.pack(draftFields(draft)));
export const decodeDraft = (encoded: Uint8Array): KeyVersionDraft => draftOf(draftTuple.parse(messages.unpack(encoded)));

function draftOf([tenant, keyId, versionId, spec, usage, origin, logId]: z.infer<typeof draftTuple>): KeyVersionDraft {
  return { tenant, keyId, versionId, spec, usage, origin, logId };
}

const encoded = new WeakMap<WrappedKeyVersion, Buffer>();

/** A row's bytes on the wire, remembered with the object: planes use one row for thousands of calls. */
export function encodeRow(version: WrappedKeyVersion): Buffer {
  const known = encoded.get(version);
  if (known !== undefined) return known;
  const { protectionLevel, blob, mac, publicKey, imported: material } = version;
  const told = material && [material.check, material.validTo, material.inMemory];
  const row = Buffer.from(
    messages.pack([...draftFields(version), protectionLevel, blob, mac, ...[publicKey, told].filter((part) => part !== undefined)]),
  );
  encoded.set(version, row);
  return row;
}

/** @throws KeyBindingBroken when the bytes are no row that a custodian ever made. */
export function decodeRow(row: Uint8Array): WrappedKeyVersion {
  const parsed = rowTuple.safeParse(messages.unpack(row));
  if (!parsed.success) throw new KeyBindingBroken('of an unreadable row');
  const [tenant, keyId, versionId, spec, usage, origin, logId, protectionLevel, blob, mac, ...more] = parsed.data;
  const publicKey = more.find((part) => part instanceof Uint8Array);
  const material = more.find((part) => Array.isArray(part));
  if (more.length !== Number(publicKey !== undefined) + Number(material !== undefined)) throw new KeyBindingBroken('of an unreadable row');
  const draft = draftOf([tenant, keyId, versionId, spec, usage, origin, logId]);
  return {
    ...draft,
    protectionLevel,
    blob: Uint8Array.from(blob),
    mac: Uint8Array.from(mac),
    ...(publicKey && { publicKey: Uint8Array.from(publicKey) }),
    ...(material && { imported: { check: Uint8Array.from(material[0]), validTo: material[1], inMemory: material[2] } }),
  };
}

/** A row as it came over the wire: decoded only when its key is not in use yet. */
export class RowOnWire implements PresentedVersion {
  readonly identity: string;

  constructor(
    private readonly tenant: string,
    private readonly encoded: Buffer,
  ) {
    this.identity = `${tenant}\n${encoded.toString('latin1')}`;
  }

  /** @throws RangeError when the row is another tenant's than the call. */
  row(): WrappedKeyVersion {
    const version = decodeRow(this.encoded);
    if (version.tenant !== this.tenant) throw new RangeError("The row is another tenant's.");
    return version;
  }
}
