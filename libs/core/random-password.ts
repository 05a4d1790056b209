import { PASSWORD_CLASSES, type PasswordClass, type RandomPasswordRequest } from '#contract';
import { InvalidRequest, KeywardError } from './errors.js';

type Wanted = Pick<RandomPasswordRequest, 'length' | 'excludeClasses' | 'excludeCharacters' | 'includeSpace' | 'requireEachIncludedType'>;

/** Bytes of one draw. */
const DRAWN = 1024;
/** With one character left of two classes, a password of eight takes 600 bytes on average. */
const MAX_DRAWS = 64;

/**
 * A password, uniform among all that are as wanted: characters by rejection sampling, and a whole one that lacks a class is drawn anew.
 * ASCII, the caller's to wipe. `draw` answers as many random bytes as asked for.
 * @throws InvalidRequest when what is excluded leaves too little
 */
export async function randomPassword(wanted: Wanted, draw: (bytes: number) => Promise<Uint8Array>): Promise<Uint8Array> {
  const classes = classesOf(wanted);
  const alphabet = Buffer.from([...classes, ...(wanted.includeSpace && !wanted.excludeCharacters.includes(' ') ? [' '] : [])].join(''));
  if (alphabet.length === 0) throw no('excludes everything');
  const required = wanted.requireEachIncludedType ? classes.map((characters) => Buffer.from(characters)) : [];
  const fair = 256 - (256 % alphabet.length);
  const password = Buffer.alloc(wanted.length);
  let at = 0;
  for (let draws = 0; draws < MAX_DRAWS; draws++) {
    const bytes = await draw(DRAWN);
    try {
      for (const byte of bytes) {
        if (byte >= fair) continue;
        password[at++] = alphabet[byte % alphabet.length]!;
        if (at < password.length) continue;
        if (required.every((characters) => password.some((one) => characters.includes(one)))) return password;
        at = 0;
      }
    } finally {
      bytes.fill(0);
    }
  }
  password.fill(0);
  throw new KeywardError('internal', '', { reason: 'no password found' });
}

function classesOf({ length, excludeClasses, excludeCharacters, requireEachIncludedType }: Wanted): string[] {
  const names = (Object.keys(PASSWORD_CLASSES) as PasswordClass[]).filter((name) => !excludeClasses.includes(name));
  const classes = names.map((name) => [...PASSWORD_CLASSES[name]].filter((one) => !excludeCharacters.includes(one)).join(''));
  if (requireEachIncludedType && (classes.includes('') || classes.length > length)) throw no('leaves nothing of a class that is required');
  return classes;
}

const no = (message: string): InvalidRequest => new InvalidRequest([{ field: 'excludeCharacters', message }]);
