import { type FileHandle, open, readFile } from 'node:fs/promises';

/** Who calls: a service or a person, at one tenant. */
export interface Asked {
  readonly n: number;
  /** Milliseconds since the run began, of one monotonic clock. */
  readonly askedAt: number;
  readonly op: string;
  /** Whose keys, from the path. */
  readonly tenant: string;
  readonly by: string;
  /** What the call is about: as the caller wants to find it in the checker. */
  readonly about: Readonly<Record<string, unknown>>;
}

export interface Answered {
  readonly n: number;
  readonly answeredAt: number;
  /** 0: no answer. */
  readonly status: number;
  readonly requestId?: string | undefined;
  readonly seq?: number | undefined;
  /** Of the answer, without any key or plaintext: of these a digest. */
  readonly got?: Readonly<Record<string, unknown>> | undefined;
}

/** One call as the client knows it; without `status` the client ended before the answer. */
export type LedgerCall = Asked & Partial<Omit<Answered, 'n'>>;

/**
 * What was asked and what was answered, one JSON line each, on disk before the call is sent and before the answer counts: what a client
 * says that it had is then true even if the client dies. Lines that come while others are being synced travel together.
 */
export class Ledger {
  #waiting: string[] = [];
  #syncing: Promise<void> | undefined;
  #next = 0;

  private constructor(private readonly file: FileHandle) {}

  static async create(path: string): Promise<Ledger> {
    return new Ledger(await open(path, 'ax', 0o600));
  }

  /** Resolves with the call's number when its question is on disk. */
  async asked(question: Omit<Asked, 'n'>): Promise<number> {
    const n = this.#next++;
    await this.#write({ n, ...question });
    return n;
  }

  async answered(answer: Answered): Promise<void> {
    await this.#write(answer);
  }

  async close(): Promise<void> {
    await this.#syncing;
    await this.file.close();
  }

  async #write(line: object): Promise<void> {
    this.#waiting.push(`${JSON.stringify(line)}\n`);
    // Whoever comes during a sync waits for it and for the next one, which all of them share.
    await this.#syncing;
    await (this.#syncing ??= this.#sync().finally(() => (this.#syncing = undefined)));
  }

  async #sync(): Promise<void> {
    const lines = this.#waiting.splice(0);
    if (lines.length === 0) return;
    await this.file.appendFile(lines.join(''));
    await this.file.datasync();
  }
}

/** @throws Error for a ledger that nobody can have written: an answer without its question, or a second one */
export async function readLedger(path: string): Promise<LedgerCall[]> {
  const calls = new Map<number, LedgerCall>();
  // Behind the last line's end stands nothing, or one that is being written.
  for (const line of (await readFile(path, 'utf8')).split('\n').slice(0, -1)) {
    const entry = JSON.parse(line) as Asked | Answered;
    const asked = calls.get(entry.n);
    if ('op' in entry ? asked !== undefined : asked === undefined || asked.status !== undefined)
      throw new Error(`The ledger contradicts itself at call ${entry.n}.`);
    calls.set(entry.n, { ...asked, ...entry } as LedgerCall);
  }
  return [...calls.values()];
}
