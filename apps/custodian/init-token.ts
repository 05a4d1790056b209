/** Makes the configured token, with random PINs, unless it exists. Run before the custodian's first start; may be repeated. */
import { initialiseToken } from '#custody/pkcs11';
import { logLines } from '#runtime/log-lines';
import { pino } from 'pino';
import { custodianConfig } from './config.js';
import { NEVER_RESTART } from './exit-codes.js';

const log = pino({ name: 'init-token', base: { pid: process.pid } }, logLines({ sync: true }));

try {
  const { hsm, soPinFile } = custodianConfig();
  if (soPinFile === undefined) throw new Error('KEYWARD_HSM_SO_PIN_FILE: is missing');
  log.info({ token: hsm.tokenLabel }, `token ${initialiseToken({ ...hsm, soPinFile })}`);
} catch (error) {
  log.fatal({ cause: error instanceof Error ? error.message : 'unknown' }, 'the token could not be made');
  process.exitCode = NEVER_RESTART;
}
