/** Calls `wipeExpired` when the earliest of the times that it was told has come; that answers the next one. */
export class Sweep {
  #timer: NodeJS.Timeout | undefined;
  #at = Number.POSITIVE_INFINITY;

  constructor(private readonly wipeExpired: (now: number) => number) {}

  /** Never later than this. Unreferenced: a held key must not keep the process alive. */
  by(at: number): void {
    if (at >= this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    this.#timer = setTimeout(() => this.#run(), Math.max(1, at - Date.now())).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#at = Number.POSITIVE_INFINITY;
  }

  #run(): void {
    this.#at = Number.POSITIVE_INFINITY;
    const next = this.wipeExpired(Date.now());
    if (Number.isFinite(next)) this.by(next);
  }
}
