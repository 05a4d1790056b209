/** Proves that one dependency answers; rejects or never settles when it does not. */
export type Probe = () => Promise<void>;

export type Readiness =
  | { readonly status: 'ready' }
  /** `reasons` are the names of probes: parts of the platform, never hosts, tenants or messages of drivers. */
  | { readonly status: 'not-ready'; readonly reasons: readonly string[] };

const PROBE_TIMEOUT_MS = 1000;
/** Anyone may ask, and a probe costs a query or a call to the HSM: all who ask meanwhile are told the same. */
const REUSE_MS = 1000;

/**
 * What `/livez` and `/readyz` answer. Live: the process runs (a failing dependency never restarts it).
 * Ready: every probe passes, and the process is not draining.
 */
export class Health {
  private readonly probes = new Map<string, Probe>();
  private draining = false;
  private latest: Promise<Readiness> | undefined;

  /** Adds a probe under a name that may be shown to anyone, such as `database` or `custodian`. */
  register(name: string, probe: Probe): void {
    if (this.probes.has(name)) throw new Error(`There is already a probe called ${name}.`);
    this.probes.set(name, probe);
  }

  /** From now on not ready, so that load balancers send nothing new while the process drains. */
  startDraining(): void {
    this.draining = true;
  }

  /** Runs every probe at once, each with a time-out of one second, and answers the same for a second more. Never throws. */
  async readiness(): Promise<Readiness> {
    if (this.draining) return { status: 'not-ready', reasons: ['draining'] };
    this.latest ??= this.probed().finally(() => setTimeout(() => (this.latest = undefined), REUSE_MS).unref());
    return await this.latest;
  }

  private async probed(): Promise<Readiness> {
    const names = [...this.probes.keys()];
    const passed = await Promise.all([...this.probes.values()].map(passes));
    const reasons = names.filter((_, index) => passed[index] !== true);
    return reasons.length === 0 ? { status: 'ready' } : { status: 'not-ready', reasons };
  }
}

async function passes(probe: Probe): Promise<boolean> {
  const { promise: expired, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), PROBE_TIMEOUT_MS);
  const answered = settle(probe).then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([answered, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** A probe that throws instead of rejecting must fail like any other. */
async function settle(probe: Probe): Promise<void> {
  await probe();
}
