/** Controls, bidirectional marks, line separators, private and unassigned characters, halves of pairs, and spaces that look like others. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

const escaped = (character: string) =>
  Array.from({ length: character.length }, (_, unit) => `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`).join('');

/** JSON text in which every character that a reader could not see is written as \uXXXX; it means the same. */
export const visibleJson = (json: string): string => json.replace(UNSEEN, escaped);

/** One line that shows all that is in it, and that no terminal takes for a command. */
export const quoted = (text: string): string => text.replace(UNSEEN, escaped);

/** A value from a policy inside a sentence: as it is if nothing of it could be taken for the sentence, else in JSON's quotes. */
export const word = (text: string): string =>
  /^[A-Za-z0-9]([A-Za-z0-9._:/@*+-]*[A-Za-z0-9/*_+-])?$/.test(text) ? text : visibleJson(JSON.stringify(text));
