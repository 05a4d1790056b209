import { CustodyUnavailable, KeywardError } from '#core';
import type { PresentedVersion } from '../presented-version.js';
import { BindingKey } from './binding-key.js';
import { Cryptoki } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import type { HsmOptions } from './hsm.js';
import { anyBindingKey } from './key-templates.js';
import { KeyVersions } from './key-versions.js';
import { OpenToken } from './open-token.js';
import { readPin } from './pin.js';
import { RandomPool } from './random-pool.js';
import { RsaBirths } from './rsa-births.js';
import { SoftwareKeys } from './software-keys.js';
import { TenantRoots } from './tenant-roots.js';

/** Why a version does not open; undefined: it does. */
export type TryToOpen = (version: PresentedVersion) => string | undefined;

/** A key is let go when the next one is opened. */
const ONE_AT_A_TIME = { cachedKeys: 1, cachedForMs: 1 };
const NOT_ASKED = { of: () => undefined };

/**
 * Tries key versions on a token: the MAC of the row, and its key, unwrapped under a root of its tenant into the HSM and let go again. Makes
 * nothing on the token and asks no memory: it may run beside a custodian, and what is destroyed elsewhere opens.
 * @throws PinRefused, CryptokiError, CustodyUnavailable where the token is not one of a platform
 */
export async function openVersions(
  { module, tokenLabel, pinFile }: Pick<HsmOptions, 'module' | 'tokenLabel' | 'pinFile'>,
  work: (tryToOpen: TryToOpen) => Promise<void>,
): Promise<void> {
  const cryptoki = new Cryptoki(module);
  cryptoki.initialise();
  try {
    const token = OpenToken.open(cryptoki, tokenLabel, readPin(pinFile));
    // Looking for one would make it.
    if (token.find(anyBindingKey).length === 0) throw new CustodyUnavailable('there is no binding key on this token');
    const [roots, binding] = [new TenantRoots(token), new BindingKey(token)];
    const software = new SoftwareKeys(token, new RandomPool(token), true);
    const versions = new KeyVersions(token, roots, binding, software, new RsaBirths(), 'SOFTWARE_TOKEN', NOT_ASKED, ONE_AT_A_TIME);
    await work((version) => problemOf(() => versions.inUse(version)));
    versions.release();
  } finally {
    cryptoki.finalise();
  }
}

function problemOf(open: () => unknown): string | undefined {
  try {
    open();
    return undefined;
  } catch (error) {
    if (error instanceof KeywardError) return error.reason;
    if (error instanceof CryptokiError) return error.message;
    throw error;
  }
}
