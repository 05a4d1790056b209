import { z } from 'zod';
import { keyId, tenantId } from '#contract';
import { BOUND_KINDS, type Rebindable } from '#core';
import { decodeImport, encodeImport } from './import-row.js';
import { encodeRow, RowOnWire } from './key-version-row.js';

const bytes32 = z.instanceof(Uint8Array).refine(({ length }) => length === 32);
const bytes = z.instanceof(Uint8Array).refine(({ length }) => length > 0 && length <= 8192);
/** What it is, then the row: of a rule its fields, of a tombstone its key and MAC, of the others as they travel elsewhere. */
const onWire = z.union([
  z.tuple([z.literal('rule'), z.enum(BOUND_KINDS), z.string().regex(/^[!-~]{1,128}$/), bytes32, bytes32]),
  z.tuple([z.literal('tombstone'), keyId, bytes32]),
  z.tuple([z.enum(['key-version', 'import']), bytes]),
]);

export function encodeRebindable({ what, row }: Rebindable): readonly unknown[] {
  switch (what) {
    case 'rule':
      return [what, row.kind, row.id, row.digest, row.mac];
    case 'tombstone':
      return [what, row.keyId, row.mac];
    case 'key-version':
      return [what, encodeRow(row)];
    case 'import':
      return [what, encodeImport(row)];
  }
}

/** Used at once: its bytes are the frame's. @throws ZodError, RangeError for anything else, and for another tenant's row */
export function decodeRebindable(of: string, args: readonly unknown[]): Rebindable {
  const tenant = tenantId.parse(of);
  const told = onWire.parse(args);
  switch (told[0]) {
    case 'rule':
      return { what: told[0], row: { tenant, kind: told[1], id: told[2], digest: told[3], mac: told[4] } };
    case 'tombstone':
      return { what: told[0], row: { tenant, keyId: told[1], mac: told[2] } };
    case 'key-version':
      return { what: told[0], row: new RowOnWire(tenant, Buffer.from(told[1])).row() };
    case 'import': {
      const row = decodeImport(Buffer.from(told[1]));
      if (row.tenant !== tenant) throw new RangeError("The import is another tenant's.");
      return { what: told[0], row };
    }
  }
}

const rebound = z.tuple([bytes32.nullable()]);
/** Its bytes are the caller's. */
export function readRebound(result: unknown): Uint8Array | undefined {
  const [mac] = rebound.parse(result);
  return mac === null ? undefined : Uint8Array.from(mac);
}
