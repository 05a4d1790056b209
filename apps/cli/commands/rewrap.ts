import { createReadStream, promises as fs } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import { encryptionContext } from '#contract';
import type { CollectedItem, RewrapOutcome, SourcePage, StoredItem } from '#sdk';
import { EXIT, UsageError } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { type Meant, meant } from './key.js';
import { watched } from './operation.js';
import { wholeNumber } from './options.js';

const AFTER_HELP = `
A line of the file is one item: {"itemId": "row-1", "ciphertext": "base64…", "context": {"purpose": "invoice"}}.
A line of --out is one result: {"itemId", "status": "moved", "ciphertext"}; "kept" needs nothing, "failed" has a code.
Run it again after an interruption: it goes on where the project is. If a page was cut off, its results stand in --out twice; either is good.

By upload, Keyward's worker moves what you hand over, in your absence; collect what came of it, and finish:
  keyward rewrap start key_… --from kver_… --service billing --upload --credentials anna.json
  keyward rewrap upload op_… --file items.jsonl --tenant acme --credentials billing.json
  keyward rewrap collect op_… --out moved.jsonl --finish --tenant acme --credentials billing.json

Secrets are moved by the worker, all that are under the version:
  keyward rewrap start key_… --from kver_… --secrets --watch --credentials anna.json

Example:
  keyward rewrap start key_… --from kver_… --service billing --credentials anna.json
  keyward rewrap run op_… --file items.jsonl --out moved.jsonl --tenant acme --credentials billing.json
  keyward operation watch op_… --credentials anna.json
`;

interface StartOptions {
  readonly from: string;
  readonly service?: string;
  readonly secrets?: true;
  readonly rate?: number;
  readonly upload?: true;
  readonly watch?: true;
}

const PAGE_ITEMS = 500;
const itemLine = z.strictObject({ itemId: z.string(), ciphertext: z.base64(), context: encryptionContext.optional() });

/** Moving what is under an older version of a key to its primary one: the admin starts it, the service carries it out. */
export function rewrapCommands(program: Command, open: OpenSession): void {
  const rewrap = program.command('rewrap').description('move what is under an older version of a key to the primary one');
  rewrap
    .command('start <key>')
    .description('begin a project: a service may now move what it has, or the worker moves secrets (admins)')
    .requiredOption('--from <version>', 'the version that is to be emptied')
    .option('--service <name>', 'whose ciphertexts')
    .option('--secrets', 'the values of all secrets that the version opens, instead: the worker moves their data keys')
    .option('--rate <n>', 'items a second at most', wholeNumber(1))
    .option('--upload', 'the service hands its ciphertexts over, and the worker moves them: the project is the grant')
    .option('--watch', 'stay, and tell how far it is until it is over')
    .addHelpText('after', AFTER_HELP)
    .action(async (key: string, { from: fromVersionId, service, secrets, rate, upload, watch }: StartOptions, command: Command) => {
      if ((service === undefined) === (secrets === undefined) || (secrets && upload))
        throw new UsageError('Name either --service, with or without --upload, or --secrets.');
      const session = open(command);
      const body = {
        fromVersionId,
        ...(service !== undefined ? { service, ...(upload && { mode: 'upload' as const }) } : { mode: 'secrets' as const }),
        ...(rate !== undefined && { itemsPerSecond: rate }),
      };
      const begun = await session.admin.startRewrap(session.tenant, key, body);
      if (watch !== true) return session.answer(begun);
      session.say(`${begun.operationId}: ${secrets ? 'the worker moves secrets' : `waits for ${service}`}.`);
      return await watched(session, begun.operationId);
    });
  rewrap
    .command('references <key> <version>')
    .description('what is known to need an older version: what hinders that it is retired (admins)')
    .action(async (key: string, version: string, _options: object, command: Command) => {
      const session = open(command);
      const answer = await session.admin.versionReferences(session.tenant, key, version);
      const rows = answer.references.map((one) => [one.kind, one.service, one.operationId, one.count?.toString(), one.at]);
      session.answer(
        answer,
        rows.length === 0 ? 'Nothing is known to need it.' : table(['WHAT', 'SERVICE', 'OPERATION', 'COUNT', 'AT'], rows),
      );
    });
  meant(rewrap.command('retire <key> <version>'))
    .description('destroy the material of a version that nothing is known to need (admins)')
    .requiredOption('--confirm <version>', 'the version once more: what it sealed opens no more')
    .action(async (key: string, version: string, { confirm, ...body }: Meant & { readonly confirm: string }, command: Command) => {
      if (confirm !== version) throw new UsageError('--confirm must be the version that is to be retired.');
      const session = open(command);
      session.answer(await session.admin.retireKeyVersion(session.tenant, key, version, body));
    });
  rewrap
    .command('run <operation>')
    .description('carry a project out for items in a file (services)')
    .requiredOption('--file <file>', 'the items, one JSON object a line')
    .requiredOption('--out <file>', 'the results, appended')
    .addHelpText('after', AFTER_HELP)
    .action(async (operationId: string, { file, out }: { readonly file: string; readonly out: string }, command: Command) => {
      const session = open(command);
      const ended = await appending(out, (write) =>
        session.rewraps().run({
          ...{ tenant: session.tenant, operationId, source: (cursor?: string) => pageFrom(file, Number(cursor ?? 0)) },
          sink: (outcomes: readonly RewrapOutcome<StoredItem>[]) => write(outcomes.map(resultOf)),
        }),
      );
      session.answer(ended);
      if (ended.state !== 'succeeded') throw new CommandEnded(EXIT.conflict);
    });
  rewrap
    .command('upload <operation>')
    .description('hand the items of a file over to a project by upload; again after an interruption (services)')
    .requiredOption('--file <file>', 'the items, one JSON object a line')
    .option('--population <n>', 'how many items there are in all, for the progress', wholeNumber(0))
    .addHelpText('after', AFTER_HELP)
    .action(
      async (operationId: string, { file, population }: { readonly file: string; readonly population?: number }, command: Command) => {
        const session = open(command);
        await session.rewraps().upload({ tenant: session.tenant, operationId, items: itemsOf(file), population });
        session.answer(await session.rewraps().describe(session.tenant, operationId));
      },
    );
  rewrap
    .command('collect <operation>')
    .description('fetch what came of uploaded items, and acknowledge it (services)')
    .requiredOption('--out <file>', 'the results, appended')
    .option('--finish', 'all is uploaded: end the project once every result is there')
    .action(async (operationId: string, { out, finish }: { readonly out: string; readonly finish?: true }, command: Command) => {
      const session = open(command);
      const project = await appending(out, (write) =>
        session.rewraps().collect({ tenant: session.tenant, operationId, finish, sink: (found) => write(found.map(collected)) }),
      );
      session.answer(project);
      if (finish && project.state !== 'succeeded') throw new CommandEnded(EXIT.conflict);
    });
}

/** Lines are on disk before anything is acknowledged. */
async function appending<Answer>(
  out: string,
  work: (write: (lines: readonly object[]) => Promise<void>) => Promise<Answer>,
): Promise<Answer> {
  const file = await fs.open(out, 'a', 0o600);
  try {
    return await work(async (lines) => {
      await file.appendFile(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      await file.datasync();
    });
  } finally {
    await file.close();
  }
}

const collected = (item: CollectedItem) =>
  item.status === 'moved' ? { ...item, ciphertext: Buffer.from(item.ciphertext).toString('base64') } : item;

/** All items of a file, a page of them in memory. */
async function* itemsOf(file: string): AsyncIterable<StoredItem> {
  for (let at: string | undefined = '0'; at !== undefined; ) {
    const page: SourcePage<StoredItem> = await pageFrom(file, Number(at));
    yield* page.items;
    at = page.next;
  }
}

const resultOf = ({ item: { itemId }, ...result }: RewrapOutcome<StoredItem>) =>
  result.status === 'moved'
    ? { itemId, status: result.status, ciphertext: Buffer.from(result.ciphertext).toString('base64') }
    : { itemId, ...result };

/** Items from a byte of the file on. @throws UsageError naming the byte of a line that is none */
async function pageFrom(file: string, start: number): Promise<SourcePage<StoredItem>> {
  const items: StoredItem[] = [];
  let at = start;
  let text = '';
  const stream = createReadStream(file, { start, encoding: 'latin1' });
  for await (const chunk of stream as AsyncIterable<string>) {
    text += chunk;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      // One more line shows that this page is not the last.
      if (items.length === PAGE_ITEMS) return { items, next: String(at) };
      const line = Buffer.from(text.slice(0, end), 'latin1').toString('utf8');
      if (line.trim() !== '') items.push(itemIn(line, at));
      at += end + 1;
      text = text.slice(end + 1);
    }
  }
  if (text.trim() === '') return { items };
  if (items.length === PAGE_ITEMS) return { items, next: String(at) };
  items.push(itemIn(Buffer.from(text, 'latin1').toString('utf8'), at));
  return { items };
}

function itemIn(line: string, at: number): StoredItem {
  try {
    const { ciphertext, ...item } = itemLine.parse(JSON.parse(line));
    return { ...item, ciphertext: Buffer.from(ciphertext, 'base64') };
  } catch {
    throw new UsageError(`The line at byte ${at} is no item: see --help.`);
  }
}
