const REMOVED = '[removed]';

/** Ids of ours, which tell who and what and open nothing: a prefix and 26 characters. And names of migrations. */
const HARMLESS = /^([a-z]{2,5}_[0-7][0-9a-hjkmnp-tv-z]{25}|[A-Z][A-Za-z]+0{6,}\d{1,7})$/;
/** Keys, passwords, PINs, tokens and digests have twenty characters or more. */
const LONG = /[A-Za-z0-9+/_=-]{20,}/g;
const LONGEST_WORD = 19;
const PEM = /-----BEGIN [A-Z ]+-----[\s\S]*?(-----END [A-Z ]+-----|$)/g;
const IN_URL = /(\w+:\/\/[^\s:/@]*):[^\s@]+@/g;

/**
 * A text without what could be a secret. What is removed is told by what it looks like, not by a list of what is known: keys in PEM, passwords
 * in URLs, API keys, and whatever is long and is no word, path or id of ours. Rather a word too many is removed than a password too few.
 */
export function scrubbed(text: string): string {
  return text
    .replaceAll(PEM, REMOVED)
    .replaceAll(IN_URL, `$1:${REMOVED}@`)
    .replaceAll(/kw_[^\s"']+/g, REMOVED)
    .replaceAll(LONG, (found) => (isHarmless(found) ? found : REMOVED));
}

/** Words and paths have one case and short parts; what is random in base64 has both cases, in hex no parts. */
function isHarmless(found: string): boolean {
  if (HARMLESS.test(found)) return true;
  const hasBothCases = /[a-z]/.test(found) && /[A-Z]/.test(found);
  return !hasBothCases && found.split(/[/_=-]/).every((part) => part.length <= LONGEST_WORD);
}
