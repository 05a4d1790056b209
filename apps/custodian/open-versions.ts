/**
 * Tries whether key versions open on the configured token, and tells nothing else of them: a line `tenant row-as-base64` in, a line out, empty
 * or with what is wrong. Serves no socket and keeps no file; whoever restores runs it before there is a custodian.
 */
import { createInterface } from 'node:readline';
import { openVersions } from '#custody/pkcs11';
import { RowOnWire } from '#custody/socket';
import { tokenConfig } from './config.js';
import { NEVER_RESTART } from './exit-codes.js';

try {
  await openVersions(tokenConfig(), async (tryToOpen) => {
    for await (const line of createInterface({ input: process.stdin })) {
      const [tenant = '', row = ''] = line.split(' ');
      process.stdout.write(`${tryToOpen(new RowOnWire(tenant, Buffer.from(row, 'base64'))) ?? ''}\n`);
    }
  });
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : 'unknown'}\n`);
  process.exitCode = NEVER_RESTART;
}
