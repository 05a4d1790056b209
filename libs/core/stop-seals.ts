import type { StopId, TenantId } from '#contract';

/** How long a stop waits for its binding MAC before it is made without one. */
const PATIENCE_MS = 50;
const RETRY_MS = 1000;

/** Where a MAC that came late is written; a stop that has one keeps it. */
export interface Seals {
  sealStop(tenant: TenantId, stopId: StopId, mac: Uint8Array): Promise<void>;
}

/**
 * A stop must not wait for the HSM, so its binding MAC may follow. Until then the stop stops everything (core/bound-rules.ts): what it
 * was meant for is known to this process alone, which is why it is not read back from the database to be bound.
 * If this process ends first, the stop stays as it is until an admin lifts it and makes it again.
 */
export class StopSeals {
  readonly #closing = new AbortController();

  constructor(
    private readonly store: Seals,
    private readonly onRetry: (error: unknown) => void = () => undefined,
  ) {}

  /** The MAC, or undefined when it does not come in time. */
  async inTime(bind: () => Promise<Uint8Array>): Promise<Uint8Array | undefined> {
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
    try {
      return await Promise.race([bind().catch(() => undefined), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Binds and writes it as soon as both are possible. Does not keep the process alive. */
  follow(tenant: TenantId, stopId: StopId, bind: () => Promise<Uint8Array>): void {
    const attempt = () => {
      if (this.#closing.signal.aborted) return;
      bind()
        .then((mac) => this.store.sealStop(tenant, stopId, mac))
        .catch((error: unknown) => {
          this.onRetry(error);
          setTimeout(attempt, RETRY_MS).unref();
        });
    };
    attempt();
  }

  close(): void {
    this.#closing.abort();
  }
}
