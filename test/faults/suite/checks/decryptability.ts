import { acknowledged, type Evidence } from '../evidence.js';

/** Every ciphertext that anybody was given opens to what was sealed in it. */
export function decryptability({ calls, opened, unwell }: Evidence): string[] {
  if (unwell.length > 0) return [];
  return [...acknowledged(calls)].flatMap(([ciphertext, { tenant, digest, n }]) => {
    const item = opened.get(ciphertext);
    return item?.digest === digest
      ? []
      : [`call ${n}: ${tenant}'s ciphertext opens ${item?.code ?? (item?.digest === undefined ? 'not at all' : 'to something else')}`];
  });
}
