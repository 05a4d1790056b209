import { createInterface } from 'node:readline';
import { Fields, KeywardClient, KeywardError, RuleListener } from '#sdk';

/**
 * A service as an ISV would write it, in a process of its own: it holds data keys for as long as it may, and listens to the replicas that
 * it is told of. Each line on stdin is one field to encrypt; the answer is one line.
 */
const { SERVICE_KEY: apiKey = '', USES: uses = '', LISTENS_TO: listensTo = '' } = process.env;
const client = new KeywardClient({ apiKey, url: uses });
const fields = new Fields(client, { cache: { maxAgeMs: 300_000 } });
const bound = fields.of({ tenant: 'acme', keyId: 'alias/invoices', context: { purpose: 'invoice' } });
const replicas = listensTo
  .split(' ')
  .filter(Boolean)
  .map((url) => new KeywardClient({ apiKey, url }));
const listener = replicas.length === 0 ? undefined : new RuleListener(replicas, 'acme', [fields]);

const codeOf = (error: unknown) => (error instanceof KeywardError ? error.code : String(error));
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await bound.encrypt(Buffer.from(line)).then(() => 'sealed', codeOf);
  process.stdout.write(`${answer}\n`);
}
await listener?.close();
fields.close();
client.close();
for (const replica of replicas) replica.close();
