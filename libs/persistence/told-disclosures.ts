import type { ShownDisclosure } from '#contract';
import type { ToldDisclosures } from '#core';
import { readDisclosure } from '#trail';

export interface StoredDisclosure {
  readonly digest: Buffer;
  readonly disclosure: string;
}

/**
 * What is stored as personal fields, sorted by whether it is. Attacker: a plane that was taken over stores anything, and records its
 * digest; it must not take the list of its neighbours' records along.
 */
export function toldDisclosures(rows: readonly StoredDisclosure[]): ToldDisclosures {
  const told: ToldDisclosures = { disclosures: [], unreadable: [] };
  for (const { digest, disclosure } of rows) {
    const wanted = digest.toString('base64url');
    const shown = readable(disclosure);
    if (shown?.digest === wanted) told.disclosures.push(shown);
    else told.unreadable.push(wanted);
  }
  return told;
}

function readable(disclosure: string): ShownDisclosure | undefined {
  try {
    return readDisclosure(disclosure);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
