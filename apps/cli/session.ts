import type { Command } from 'commander';
import { join } from 'node:path';
import { z } from 'zod';
import { type Config, defaultDataDir } from '#runtime';
import { DEFAULT_KEY_PLANE, KeywardAdmin, KeywardClient, type Proof, Rewraps, Secrets } from '#sdk';
import { type Credentials, readCredentials } from './credentials-file.js';
import { UsageError } from './exit-codes.js';
import { fields, type Terminal } from './terminal.js';

const globalOptions = z.object({ json: z.boolean().optional(), credentials: z.string().optional(), tenant: z.string().optional() });

/** What one command has at hand: its credential, the clients that use it, and the way to answer. */
export class Session {
  readonly #options: z.infer<typeof globalOptions>;
  #read: Credentials | undefined;

  constructor(
    command: Command,
    readonly terminal: Terminal,
    private readonly config: Config,
  ) {
    this.#options = globalOptions.parse(command.optsWithGlobals());
  }

  /** --credentials, else KEYWARD_CREDENTIALS_FILE, else what `npm start` wrote. */
  get credentials(): Credentials {
    const file =
      this.#options.credentials ?? this.config.credentialsFile ?? join(this.config.dataDir ?? defaultDataDir(), 'credentials.json');
    return (this.#read ??= readCredentials(file));
  }

  /** The log key of a profile that was named on the command line: nothing is pinned by accident. */
  get pinnedVkey(): string | undefined {
    return this.#options.credentials === undefined ? undefined : this.credentials.vkey;
  }

  /** Those of --vkey, else the one of the profile. @throws UsageError where there is none */
  pinnedVkeys(named: readonly string[]): readonly string[] {
    if (named.length > 0) return named;
    if (this.pinnedVkey !== undefined) return [this.pinnedVkey];
    throw new UsageError('Whose signature? Add --vkey KEY, or --credentials with the file of a person of the tenant.');
  }

  get admin(): KeywardAdmin {
    return this.adminWith(this.credentials.proof);
  }

  /** The same planes with another credential: the enrolment code. */
  adminWith(proof: Proof, { keyPlane, auditor }: Pick<Credentials, 'keyPlane' | 'auditor'> = this.credentials): KeywardAdmin {
    return new KeywardAdmin({ ...proof, ...(keyPlane !== undefined && { keyPlane }), ...(auditor !== undefined && { auditor }) });
  }

  rewraps(): Rewraps {
    const { proof, dataPlane } = this.credentials;
    return new Rewraps({ ...proof, ...(dataPlane !== undefined && { url: dataPlane }) });
  }

  client(): KeywardClient {
    const { proof, dataPlane } = this.credentials;
    return new KeywardClient({ ...proof, ...(dataPlane !== undefined && { url: dataPlane }) });
  }

  /** At the data plane for services, at the key plane for people of the tenant; nothing is held. */
  secrets(): Secrets {
    const { proof, tenant, dataPlane, keyPlane } = this.credentials;
    const url = tenant === 'platform' ? dataPlane : (keyPlane ?? DEFAULT_KEY_PLANE);
    return new Secrets({ ...proof, ...(url !== undefined && { url }), ttlMs: 0 });
  }

  /** --tenant, else the tenant of the credential; a service's or operator's own tenant is no customer. */
  get tenant(): string {
    if (this.#options.tenant !== undefined) return this.#options.tenant;
    if (this.credentials.tenant === 'platform') throw new UsageError('Which tenant? Add --tenant NAME.');
    return this.credentials.tenant;
  }

  /** Prints an answer: with --json as one JSON value, else as `text` or field by field. */
  answer(value: object, text: string = fields(value)): void {
    this.print(this.#options.json === true ? JSON.stringify(value) : text);
  }

  /** True with --json. */
  get json(): boolean {
    return this.#options.json === true;
  }

  /** A line of data, on stdout. */
  print(text: string): void {
    this.terminal.out.write(`${text}\n`);
  }

  /** A line for the person, on stderr. */
  say(text: string): void {
    this.terminal.talk.write(`${text}\n`);
  }
}

/** Opens the session of the command that runs. */
export type OpenSession = (command: Command) => Session;
