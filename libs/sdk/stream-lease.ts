import { type Lease, LONGEST_LEASE } from '#contract';

/**
 * For how long a stream that runs may go on: until the lease of its data key is over, or the rules of its tenant have changed. Then Keyward
 * is asked again, by the call that the key came from, and nothing passes before it has allowed that; a refusal ends the stream.
 */
export class StreamLease {
  #asking: Promise<void> | undefined;
  #over: NodeJS.Timeout | undefined;
  #refused: ((error: Error) => void) | undefined;

  constructor(
    readonly tenant: string,
    private readonly maxAgeMs: number,
    /** Answers the lease of a key that it has wiped. @throws KeywardError for a refusal */
    private readonly askAgain: () => Promise<Lease | undefined>,
    /** All that run; this one until it ends. */
    private readonly running: Set<StreamLease>,
  ) {
    running.add(this);
  }

  /** What the stream waits for before its next byte, if anything. Rejects with the refusal. */
  get asking(): Promise<void> | undefined {
    return this.#asking;
  }

  /** The key has come, with a lease from before it was asked for. */
  begin(askedAt: number, lease: Lease = LONGEST_LEASE): void {
    if (!this.running.has(this)) return;
    const ageMs = Math.min(this.maxAgeMs, lease.maxAgeSeconds * 1000);
    clearTimeout(this.#over);
    this.#over = setTimeout(() => this.ask(), askedAt + ageMs - Date.now()).unref();
  }

  /** Whom to tell that it is over, from now on. */
  whenRefused(refused: (error: Error) => void): void {
    this.#refused = refused;
    this.#asking?.catch(refused);
  }

  ask(): void {
    const askedAt = Date.now();
    const asking = this.askAgain().then((lease) => {
      // Another change came meanwhile: this answer may be older.
      if (this.#asking !== asking) return;
      this.#asking = undefined;
      this.begin(askedAt, lease);
    });
    this.#asking = asking;
    asking.catch((error: unknown) => this.#refused?.(error as Error));
  }

  end(): void {
    this.running.delete(this);
    clearTimeout(this.#over);
  }
}
