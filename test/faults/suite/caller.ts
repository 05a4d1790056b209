import { createHash } from 'node:crypto';
import { type Answer, api } from '../../stories/api.js';
import type { Ledger } from './ledger.js';

/** What one item of a call is about, or became. A single call has one. */
export interface Item {
  readonly ciphertext?: string | undefined;
  /** Of the plaintext. */
  readonly digest?: string | undefined;
  readonly keyId?: string | undefined;
  /** Why it failed: the problem's code. */
  readonly code?: string | undefined;
  /** Its record, where the answer names one for each item. */
  readonly record?: number | undefined;
}

export interface Question {
  readonly op: string;
  readonly tenant: string;
  readonly by: string;
  readonly about?: Readonly<Record<string, unknown>>;
}

type Request = Parameters<typeof api>;

/** The first 128 bits: enough to tell plaintexts apart, and no plaintext. */
export const digestOf = (base64: string): string =>
  createHash('sha256').update(Buffer.from(base64, 'base64')).digest('base64url').slice(0, 22);

/** Makes calls that the ledger knows. */
export class Caller {
  /** Nobody insists any longer. */
  isImpatient = false;

  constructor(
    private readonly ledger: Ledger,
    readonly elapsed: () => number,
  ) {}

  /** The answer; undefined where none came: then it is not known what became of the call. */
  async call(
    { about = {}, ...question }: Question,
    request: Request,
    got: (answer: Answer) => Readonly<Record<string, unknown>> = ({ body }) =>
      typeof body['code'] === 'string' ? { code: body['code'] } : {},
  ): Promise<Answer | undefined> {
    const n = await this.ledger.asked({ ...question, about, askedAt: this.elapsed() });
    const answer = await api(...request).catch(() => undefined);
    const answeredAt = this.elapsed();
    if (answer === undefined) await this.ledger.answered({ n, answeredAt, status: 0 });
    else {
      const { status, requestId, seq } = answer;
      await this.ledger.answered({ n, answeredAt, status, requestId: requestId ?? undefined, seq, got: got(answer) });
    }
    return answer;
  }
}

/** What a data operation answered, item by item, without a plaintext. */
export function itemsOf({ status, body }: Answer): { readonly items: readonly Item[] } {
  const items = status === 200 && Array.isArray(body['items']) ? (body['items'] as Record<string, unknown>[]) : [body];
  return { items: items.map(itemOf) };
}

function itemOf({ ciphertext, plaintext, keyId, record, problem, code }: Record<string, unknown>): Item {
  const failed = (problem as { code?: string } | undefined)?.code ?? code;
  return {
    ...(typeof ciphertext === 'string' && { ciphertext }),
    ...(typeof plaintext === 'string' && { digest: digestOf(plaintext) }),
    ...(typeof keyId === 'string' && { keyId }),
    ...(typeof record === 'number' && { record }),
    ...(typeof failed === 'string' && { code: failed }),
  };
}
