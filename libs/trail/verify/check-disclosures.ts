import type { BundleTile } from '../read-bundle.js';
import { digestOfDisclosure, disclosuresIn, readDisclosure } from '../disclosure.js';
import type { Sha256 } from '../sha256.js';
import type { DisclosureFault } from './report.js';

const lenient = new TextDecoder();

/**
 * The first disclosure beside a tile that is not what it should be. Attackers: whoever shows an auditor another name or address than was
 * recorded: no record vouches for it; and a plane that stores, under a digest that it recorded, what nobody can read. What is missing was
 * erased, or withheld: nobody can tell which.
 */
export function disclosureFault({ entries, disclosures = [] }: BundleTile, first: number, sha256: Sha256): DisclosureFault | undefined {
  if (disclosures.length === 0) return undefined;
  const carriers = new Map(
    entries.flatMap((bytes, at) => disclosuresIn(lenient.decode(bytes)).map((digest): [string, number] => [digest, first + at])).reverse(),
  );
  for (const text of disclosures) {
    const carrier = carriers.get(digestOfDisclosure(text, sha256));
    if (carrier === undefined)
      return {
        code: 'foreign-disclosure',
        index: first,
        message: `A personal field was shown for which none of the records from ${first} on vouches.`,
      };
    if (!isReadable(text, sha256))
      return {
        code: 'malformed-disclosure',
        index: carrier,
        message: `What is shown as a personal field of record ${carrier} is none. No honest plane stored it; an admin can erase it.`,
      };
  }
  return undefined;
}

function isReadable(text: string, sha256: Sha256): boolean {
  try {
    return readDisclosure(text, sha256).disclosure === text;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
