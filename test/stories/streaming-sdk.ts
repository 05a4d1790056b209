import { existsSync, readFileSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Envelope, KeywardClient } from '#sdk';

/**
 * One end of a stream, in a process of its own: `seal` writes a message of `STREAM_MB` to stdout, `open` reads it from stdin. Says on stderr
 * how much plaintext it was, and the most memory that it ever had: `{"bytes", "rssMb"}`.
 */
const { SERVICE_KEY: apiKey = '', USES: url = '', END: end = '', STREAM_MB: size = '0' } = process.env;
const client = new KeywardClient({ apiKey, url });
const envelope = new Envelope(client);
const context = { purpose: 'invoice' };
const chunk = Buffer.alloc(64 * 1024, 'Keyward');
let bytes = 0;

function* chunks() {
  for (; bytes < Number(size) * 1024 * 1024; bytes += chunk.length) yield chunk;
}
const counted = new Writable({
  write(plaintext: Buffer, _encoding, done) {
    bytes += plaintext.length;
    done();
  },
});
if (end === 'seal')
  await pipeline(Readable.from(chunks()), envelope.encryptStream({ tenant: 'acme', keyId: 'alias/invoices', context }), process.stdout);
else await pipeline(process.stdin, envelope.decryptStream({ tenant: 'acme', expectedContext: context }), counted);
client.close();
process.stderr.write(`${JSON.stringify({ bytes, rssMb: peakKb() / 1024 })}\n`);

/** Of this program alone: on Linux `maxRSS` begins with what the parent had when it forked, which is the whole test runner. */
function peakKb(): number {
  const status = '/proc/self/status';
  if (!existsSync(status)) return process.resourceUsage().maxRSS;
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(status, 'utf8'))![1]);
}
