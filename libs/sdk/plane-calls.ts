import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { Bearer } from './bearer.js';
import { parsed, type Told, toldBy, succeeded } from './answers.js';
import { type Patience, patienceOf, withRetries } from './retries.js';
import type { Transport, WireAnswer, WireCall } from './transport.js';

type Query = Readonly<Record<string, string | number | undefined>>;

/**
 * JSON calls to one plane with one credential. Only reads are tried again: a change whose answer was lost may have been made, and who
 * asked must look before asking again.
 */
export class PlaneCalls {
  readonly #transport: Transport;
  readonly #bearer: Bearer;
  readonly #patience: Patience;

  constructor(transport: Transport, bearer: Bearer, patience: Partial<Patience>) {
    this.#transport = transport;
    this.#bearer = bearer;
    this.#patience = patienceOf(patience);
  }

  async read<Schema extends z.ZodType<object>>(schema: Schema, path: string, query: Query = {}): Promise<z.output<Schema> & Told> {
    const answer = await this.#read(path, query);
    return { ...parsed(schema, answer), ...toldBy(answer) };
  }

  /** A question that is too long for a path; it changes nothing, so it is tried again. */
  async ask<Schema extends z.ZodType<object>>(schema: Schema, path: string, body: object): Promise<z.output<Schema> & Told> {
    const call = { method: 'POST' as const, path, body: Buffer.from(JSON.stringify(body)) };
    const answer = await withRetries(this.#patience, (timeoutMs) => this.#exchange(call, timeoutMs));
    return { ...parsed(schema, answer), ...toldBy(answer) };
  }

  async readText(path: string): Promise<string> {
    return (await this.readBytes(path)).toString('utf8');
  }

  async readBytes(path: string): Promise<Buffer> {
    return (await this.#read(path, {})).body;
  }

  async change<Schema extends z.ZodType<object>>(schema: Schema, call: Change): Promise<z.output<Schema> & Told> {
    const answer = await this.#change(call);
    return { ...parsed(schema, answer), ...toldBy(answer) };
  }

  /** A change that answers nothing but its record. */
  async changeOnly(call: Change): Promise<Told> {
    return toldBy(await this.#change(call));
  }

  /** The body as it comes; an error status throws as everywhere. */
  async stream(path: string): Promise<IncomingMessage> {
    const response = await this.#transport.open({ method: 'GET', path, token: await this.#bearer() }, this.#patience.attemptMs);
    if (response.statusCode === 200) return response;
    const body = Buffer.concat(await response.toArray());
    succeeded({ status: response.statusCode ?? 0, headers: response.headers, body });
    return response;
  }

  #read(path: string, query: Query): Promise<WireAnswer> {
    return withRetries(this.#patience, (timeoutMs) => this.#exchange({ method: 'GET', path: path + search(query) }, timeoutMs));
  }

  #change({ method = 'POST', path, body, headers }: Change): Promise<WireAnswer> {
    return this.#exchange(
      { method, path, headers, body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)) },
      this.#patience.totalMs,
    );
  }

  async #exchange(call: Omit<WireCall, 'token'>, timeoutMs: number): Promise<WireAnswer> {
    return succeeded(await this.#transport.exchange({ ...call, token: await this.#bearer() }, timeoutMs));
  }
}

export interface Change {
  readonly method?: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

function search(query: Query): string {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

/** A path whose parts cannot leave their place. */
export const at = (parts: TemplateStringsArray, ...names: readonly (string | number)[]): string =>
  String.raw({ raw: parts }, ...names.map((name) => encodeURIComponent(name)));
