import { type ChildProcess, fork } from 'node:child_process';
import type { World } from './world.js';

/** Items of a page. */
export const AT_ONCE = 500;

/** What a service is started with. */
export interface ServiceSettings {
  readonly apiKey: string;
  readonly url: string;
  readonly operationId: string;
  readonly population: number;
  readonly context: World['call']['encryptionContext'];
}
export interface PageOfRows {
  readonly from: number;
  readonly edks: readonly Uint8Array[];
  /** Where the next page begins; absent: this is the last. */
  readonly next?: number;
}
export interface MovedRow {
  readonly row: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** The ISV's table: encrypted data keys of one length, in one piece of memory. */
export class IsvTable {
  /** How often each row was written back. */
  readonly writes: Uint8Array;
  #bytes = Buffer.alloc(0);
  #length = 0;

  constructor(readonly count: number) {
    this.writes = new Uint8Array(count);
  }

  set(row: number, edk: Uint8Array): void {
    if (this.#length === 0) {
      this.#length = edk.length;
      this.#bytes = Buffer.alloc(this.count * edk.length);
    }
    if (edk.length !== this.#length) throw new RangeError('Data keys of one kind have one length.');
    this.#bytes.set(edk, row * this.#length);
  }

  edk(row: number): Buffer {
    return this.#bytes.subarray(row * this.#length, (row + 1) * this.#length);
  }

  page(from: number): PageOfRows {
    const end = Math.min(from + AT_ONCE, this.count);
    const edks = Array.from({ length: end - from }, (_, index) => this.edk(from + index));
    return { from, edks, ...(end < this.count && { next: end }) };
  }

  /** Each only where the row still holds what was read. */
  write(moved: readonly MovedRow[]): void {
    for (const { row, before, after } of moved) {
      if (!this.edk(row).equals(before)) continue;
      this.set(row, after);
      this.writes[row]! += 1;
    }
  }

  /** A service that moves it, until it is done or killed. */
  movedBy(settings: Omit<ServiceSettings, 'population'>): ChildProcess {
    const service = fork(new URL('./moving-service.js', import.meta.url), {
      // They hold a credential, so they stand on no command line.
      env: { ...process.env, SETTINGS: JSON.stringify({ ...settings, population: this.count }) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    service.on('message', (asked: { readonly from: number } | { readonly moved: readonly MovedRow[] }) => {
      const answer = 'from' in asked ? this.page(asked.from) : (this.write(asked.moved), {});
      if (service.connected) service.send(answer, () => undefined);
    });
    return service;
  }
}
