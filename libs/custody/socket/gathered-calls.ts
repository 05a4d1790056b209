import { GATHERED, MOST_TOGETHER, TOGETHER } from './wire.js';

/** Of a call, what travels. The first argument of a call that is gathered is its key's row. */
interface Travelling {
  readonly operation: number;
  readonly tenant: string;
  readonly args: readonly unknown[];
}

/** Neither their frame nor its reply comes near 64 KiB, and no other plane's calls wait long behind them. */
const MOST_BYTES = 24_576;

/**
 * Calls that follow each other and use one key in the same way travel in one frame: a batch names its row once, and costs both sides one
 * frame in place of many. Ids of one frame follow each other.
 */
export class GatheredCalls {
  #first: (Travelling & { readonly id: number }) | undefined;
  #items: (readonly unknown[])[] = [];
  #bytes = 0;

  /** `send` gets a frame's content, and how many calls wait for its reply. */
  constructor(private readonly send: (content: readonly unknown[], id: number, calls: number) => void) {}

  add(id: number, call: Travelling): void {
    const bytes = GATHERED.has(call.operation) ? bytesOf(call.args) : Infinity;
    if (!this.#goesAlong(call, bytes)) this.flush();
    this.#first ??= { id, ...call };
    this.#items.push(call.args);
    this.#bytes += bytes;
    if (bytes === Infinity) this.flush();
  }

  flush(): void {
    if (this.#first === undefined) return;
    const { id, operation, tenant, args } = this.#first;
    const items = this.#items;
    this.#first = undefined;
    this.#items = [];
    this.#bytes = 0;
    if (items.length === 1) this.send([id, operation, tenant, args], id, 1);
    else this.send([id, TOGETHER, tenant, [operation, args[0], items.map((item) => item.slice(1))]], id, items.length);
  }

  #goesAlong({ operation, tenant, args }: Travelling, bytes: number): boolean {
    const first = this.#first;
    if (first === undefined) return true;
    // The row is the same object: planes use one for thousands of calls (key-version-row.ts).
    const isSame = first.operation === operation && first.tenant === tenant && first.args[0] === args[0];
    return isSame && this.#items.length < MOST_TOGETHER && this.#bytes + bytes <= MOST_BYTES;
  }
}

/** Of a call's arguments besides the row, and of its answer: a number is the length of a data key, which is answered twice. */
function bytesOf(args: readonly unknown[]): number {
  let bytes = 0;
  for (let at = 1; at < args.length; at++) {
    const arg = args[at];
    bytes += 64 + (arg instanceof Uint8Array ? arg.length : 2 * Number(arg));
  }
  return bytes;
}
