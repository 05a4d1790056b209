/** Finds any of many byte strings (each of at least 4 bytes) in one pass over a file. */
export class Needles {
  readonly #firstTwo = new Uint8Array(65_536);
  readonly #byFour = new Map<number, Buffer[]>();

  constructor(needles: readonly Buffer[]) {
    for (const needle of needles) {
      this.#firstTwo[needle.readUInt16LE(0)] = 1;
      const four = needle.readUInt32LE(0);
      this.#byFour.set(four, [...(this.#byFour.get(four) ?? []), needle]);
    }
  }

  foundIn(haystack: Buffer): boolean {
    const last = haystack.length - 4;
    for (let at = 0; at <= last; at++) {
      if (this.#firstTwo[haystack[at]! | (haystack[at + 1]! << 8)] === 0) continue;
      const candidates = this.#byFour.get(haystack.readUInt32LE(at));
      if (candidates?.some((needle) => haystack.subarray(at, at + needle.length).equals(needle))) return true;
    }
    return false;
  }
}
