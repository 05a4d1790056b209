import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { writeProfile } from '../../apps/cli/credentials-file.js';
import { runCli } from '../../apps/cli/program.js';
import { loadConfig } from '#runtime';
import type { Onboarded, Tenant } from './onboarded.js';

export interface Said {
  readonly exit: number;
  readonly out: string;
  readonly talk: string;
}

/** The CLI as a tenant's auditor has it, or its admin, with the log's key pinned. */
export class CommandLine {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kw-cli-'));
  readonly #credentials = join(this.#folder, 'auditor.json');

  constructor({ platform }: Onboarded, { name, vkey, ...keys }: Tenant, role: 'auditor' | 'admin' = 'auditor') {
    const [credentialId, expiresAt] = ['crd', new Date(Date.now() + 3_600_000).toISOString()];
    const { auditor, keyPlane } = platform.urls;
    const profile = { auditor, keyPlane, tenant: name, principal: 'otto', role, credentialId, expiresAt };
    writeProfile(this.#credentials, { ...profile, vkey, apiKey: keys[role] });
  }

  file(name: string): string {
    return join(this.#folder, name);
  }

  /** With this on stdin. */
  piped(input: string, ...argv: readonly string[]): Promise<Said> {
    return this.#run([...argv, '--credentials', this.#credentials], input);
  }

  run(...argv: readonly string[]): Promise<Said> {
    return this.#run([...argv, '--credentials', this.#credentials]);
  }

  /** As the service billing, in this tenant. */
  asBilling({ platform: { urls }, billing: apiKey }: Onboarded, ...argv: readonly string[]): Promise<Said> {
    const file = this.file('billing.json');
    const [credentialId, expiresAt] = ['crd', new Date(Date.now() + 3_600_000).toISOString()];
    const profile = {
      ...urls,
      dataPlane: urls.dataPlanes[0]!,
      tenant: 'platform',
      principal: 'billing',
      role: 'service',
      credentialId,
      expiresAt,
    };
    if (!existsSync(file)) writeProfile(file, { ...profile, apiKey });
    return this.#run([...argv, '--tenant', 'acme', '--credentials', file]);
  }

  async #run(argv: readonly string[], input = ''): Promise<Said> {
    const [out, talk] = [new PassThrough(), new PassThrough()];
    const said = Promise.all([text(out), text(talk)]);
    const exit = await runCli(argv, { in: Readable.from(input === '' ? [] : [Buffer.from(input)]), out, talk }, () => loadConfig('cli'));
    out.end();
    talk.end();
    const [outText, talkText] = await said;
    return { exit, out: outText, talk: talkText };
  }

  /** What it answers with --json. */
  async json(...argv: readonly string[]): Promise<Record<string, unknown>> {
    const { out, talk } = await this.run(...argv, '--json');
    if (out === '') throw new Error(talk);
    return JSON.parse(out) as Record<string, unknown>;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
