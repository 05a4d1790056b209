import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import type { CustodyOperation, Plane } from '#custody/socket';

const EVERY_MS = 5000;

/**
 * How often the HSM did what each plane asked, in a file that a collector reads (Prometheus' text format): the custodian has no network, and
 * a plane that was taken over cannot change it. More than the trail tells means that somebody uses keys past it.
 */
export class UseCounts {
  readonly #counts = new Map<string, number>();

  constructor(private readonly file: string | undefined) {}

  count(plane: Plane, operation: CustodyOperation): void {
    const key = `{plane="${plane}",operation="${operation}"}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** Written at once, and every five seconds from now on. */
  start(): void {
    if (this.file === undefined) return;
    this.#write(this.file);
    setInterval((file: string) => this.#write(file), EVERY_MS, this.file).unref();
  }

  /** Aside and renamed: a collector sees all of it. It holds no secrets, and whoever collects is another user. */
  #write(file: string): void {
    const lines = [...this.#counts].map(([labels, count]) => `keyward_hsm_operations_total${labels} ${count}\n`).join('');
    const head = '# HELP keyward_hsm_operations_total What the HSM has done, by plane.\n# TYPE keyward_hsm_operations_total counter\n';
    writeFileSync(`${file}.new`, head + lines);
    chmodSync(`${file}.new`, 0o644);
    renameSync(`${file}.new`, file);
  }
}
