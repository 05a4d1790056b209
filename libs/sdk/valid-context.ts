import { type EncryptionContext, encryptionContext } from '#contract';
import { InvalidCall } from './errors.js';

/** Checked here too: a cached data key would otherwise seal what Keyward refuses (a lone surrogate looks like another character). */
export function validContext(context: EncryptionContext): EncryptionContext {
  const checked = encryptionContext.safeParse(context);
  if (checked.success) return checked.data;
  const fields = checked.error.issues.map(({ path, message }) => ({ field: ['encryptionContext', ...path].join('.'), message }));
  throw new InvalidCall('The encryption context is not valid.', { code: 'invalid-request', fields });
}
