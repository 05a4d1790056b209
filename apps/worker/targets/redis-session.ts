import type { Socket } from 'node:net';

export type RedisAnswer = string | number | null | RedisFailure | readonly RedisAnswer[];
const MAX_ANSWER_BYTES = 256 * 1024;

/** What Redis answers instead; `text` is the server's and not to be told. */
export class RedisFailure extends Error {
  override readonly name = 'RedisFailure';

  constructor(readonly text: string) {
    super('Redis refused the command.');
  }
}

/** Redis's protocol, version 2 (RESP2), one command at a time. */
export class RedisSession {
  #unread = Buffer.alloc(0);
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(private readonly socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** @throws RedisFailure for an error that the server answers, Error for no answer */
  async call(...words: readonly string[]): Promise<RedisAnswer> {
    this.socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
    const answer = await this.#answer();
    if (answer instanceof RedisFailure) throw answer;
    return answer;
  }

  async #answer(): Promise<RedisAnswer> {
    for (;;) {
      const parsed = parse(this.#unread, 0);
      if (parsed !== undefined) {
        this.#unread = this.#unread.subarray(parsed.end);
        return parsed.answer;
      }
      const chunk = await this.#chunks.next();
      if (chunk.done === true || this.#unread.length > MAX_ANSWER_BYTES) throw new Error('No answer of Redis.');
      this.#unread = Buffer.concat([this.#unread, chunk.value]);
    }
  }
}

interface Parsed {
  readonly answer: RedisAnswer;
  readonly end: number;
}

/** The answer that begins at `at`; undefined where it is not all there. */
function parse(bytes: Buffer, at: number): Parsed | undefined {
  const line = bytes.indexOf('\r\n', at);
  if (line < 0) return undefined;
  const text = bytes.toString('utf8', at + 1, line);
  const end = line + 2;
  switch (bytes.toString('latin1', at, at + 1)) {
    case '+':
      return { answer: text, end };
    case '-':
      return { answer: new RedisFailure(text), end };
    case ':':
      return { answer: Number(text), end };
    case '$':
      return bulk(bytes, end, Number(text));
    case '*':
      return list(bytes, end, Number(text));
    default:
      throw new Error('This is not Redis.');
  }
}

function bulk(bytes: Buffer, start: number, length: number): Parsed | undefined {
  if (length < 0) return { answer: null, end: start };
  if (bytes.length < start + length + 2) return undefined;
  return { answer: bytes.toString('utf8', start, start + length), end: start + length + 2 };
}

function list(bytes: Buffer, start: number, length: number): Parsed | undefined {
  const answer: RedisAnswer[] = [];
  let end = start;
  for (let count = 0; count < length; count++) {
    const item = parse(bytes, end);
    if (item === undefined) return undefined;
    answer.push(item.answer);
    end = item.end;
  }
  return { answer: length < 0 ? null : answer, end };
}
