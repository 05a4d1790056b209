import { readFileSync } from 'node:fs';
import { checkoutPath } from '#runtime';

/** Certificates for receivers on this machine, from an authority of the tests whose key is gone; good for a hundred years. */
const pem = (name: string): string => readFileSync(checkoutPath('test', 'vectors', 'tls', `${name}.pem`), 'utf8');

export const AUTHORITY = pem('ca');
export const SERVER = { cert: pem('server'), key: pem('server-key') };
export const CLIENT = { cert: pem('client'), key: pem('client-key') };
