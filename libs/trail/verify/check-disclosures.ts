import type { BundleTile } from '../read-bundle.js';
import { digestOfDisclosure, disclosuresIn } from '../disclosure.js';
import type { Sha256 } from '../sha256.js';

const lenient = new TextDecoder();

/**
 * Whether a record of the tile vouches for each disclosure that stands beside it; answers the first for which none does. Attacker: whoever
 * shows an auditor another name or address than was recorded. What is missing was erased, or withheld: nobody can tell which.
 */
export function foreignDisclosure({ entries, disclosures = [] }: BundleTile, sha256: Sha256): string | undefined {
  if (disclosures.length === 0) return undefined;
  const carried = new Set(entries.flatMap((bytes) => disclosuresIn(lenient.decode(bytes))));
  return disclosures.find((text) => !carried.has(digestOfDisclosure(text, sha256)));
}
