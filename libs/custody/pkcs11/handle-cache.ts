interface Entry<Handle> {
  readonly handle: Handle;
  readonly keyId: string;
  readonly unwrappedAt: number;
}

/** Unwrapped keys by their row, least recently used first. About 9 KB of SoftHSM memory each. */
export class HandleCache<Handle> {
  readonly #entries = new Map<string, Entry<Handle>>();

  constructor(
    private readonly capacity: number,
    private readonly maxAgeMs: number,
    private readonly destroy: (handle: Handle) => void,
  ) {}

  get(identity: string, now: number): Handle | undefined {
    const entry = this.#entries.get(identity);
    if (entry === undefined) return undefined;
    this.#entries.delete(identity);
    if (now - entry.unwrappedAt > this.maxAgeMs) {
      this.destroy(entry.handle);
      return undefined;
    }
    this.#entries.set(identity, entry);
    return entry.handle;
  }

  add(identity: string, keyId: string, handle: Handle, now: number): void {
    this.#entries.set(identity, { handle, keyId, unwrappedAt: now });
    if (this.#entries.size <= this.capacity) return;
    for (const [oldest, entry] of this.#entries) {
      this.#entries.delete(oldest);
      this.destroy(entry.handle);
      return;
    }
  }

  /** Forgets all of them, and answers what they were. */
  emptied(): Handle[] {
    const handles = [...this.#entries.values()].map(({ handle }) => handle);
    this.#entries.clear();
    return handles;
  }

  /** Every version of a key. */
  evict(keyId: string): void {
    for (const [identity, entry] of this.#entries) {
      if (entry.keyId !== keyId) continue;
      this.#entries.delete(identity);
      this.destroy(entry.handle);
    }
  }
}
