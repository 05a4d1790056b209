import { TargetError } from './rotation-target.js';

const KEY = /^(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)|sk-[a-z0-9@.-]+) +([A-Za-z0-9+/]+={0,2})(?=[ \t\r]|$)/;

/** A line of authorized_keys (sshd(8)) in its parts. */
interface Line {
  /** What the key may be used for, as it stands before the key. */
  readonly options: string;
  /** The key in base64. */
  readonly key: string;
}

/** The key in base64, of a public key as ssh-keygen writes it. */
const keyOf = (publicKey: string): string => KEY.exec(publicKey)?.[1] ?? '';

/**
 * The text with `next` on a line of its own behind the one that has `current`, and with the same options before it: a new key may do what the
 * old one may, and nothing else. Unchanged where `next` is there.
 * @throws TargetError `refused` where neither is there: what it may do, or whether somebody took it away, nobody knows
 */
export function withKey(text: string, current: string, next: string): string {
  if (hasKey(text, next)) return text;
  const lines = text.split('\n');
  const at = lines.findIndex((line) => parse(line)?.key === keyOf(current));
  if (at < 0) throw new TargetError('refused', 'the current key is not in authorized_keys');
  lines.splice(at + 1, 0, `${parse(lines[at]!)!.options}${next}`, ...(at === lines.length - 1 ? [''] : []));
  return lines.join('\n');
}

/** The text without any line that has this key. */
export const withoutKey = (text: string, old: string): string =>
  text
    .split('\n')
    .filter((line) => parse(line)?.key !== keyOf(old))
    .join('\n');

export const hasKey = (text: string, publicKey: string): boolean => text.split('\n').some((line) => parse(line)?.key === keyOf(publicKey));

/** Undefined for a comment, and for what sshd would skip as well. */
function parse(line: string): Line | undefined {
  const start = /^[ \t]*/.exec(line)![0].length;
  if (line[start] === '#') return undefined;
  for (const at of [start, endOfOptions(line, start)]) {
    const key = KEY.exec(line.slice(at))?.[1];
    if (key !== undefined) return { options: line.slice(0, at), key };
  }
  return undefined;
}

/** Options end at the first blank outside of quotes; a quote in quotes stands behind a backslash. */
function endOfOptions(line: string, start: number): number {
  const options = /^(?:"(?:\\"|[^"])*"|[^ \t"])*[ \t]*/.exec(line.slice(start))![0];
  return start + options.length;
}
