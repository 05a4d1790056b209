import type { Disclosure } from '#core';

/** Names, whose they are, and texts, as the functions take them that store one record; NULL where there is nothing personal. */
export const disclosureColumns = (disclosures: readonly Disclosure[]): (readonly string[] | null)[] =>
  (['name', 'about', 'text'] as const).map((column) => (disclosures.length === 0 ? null : disclosures.map((one) => one[column])));
