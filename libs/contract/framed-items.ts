import type { z } from 'zod';

/** So many different ones are remembered: of a row that is read, its columns. */
const MOST_KNOWN = 8;

/**
 * Reads the items of a batch that came as a frame, as `item` does; `field` is what a frame carries as bytes. Most batches ask one thing of
 * many bytes: an item that says the same as one before it is not read again, and only its bytes are looked at.
 */
export function framedItems<Item extends z.ZodObject>(item: Item, field: keyof Item['shape'] & string) {
  const bytesOf = item.shape[field] as z.ZodType;
  const known: { readonly said: object; readonly data: z.infer<Item> }[] = [];
  return (value: unknown): z.ZodSafeParseResult<z.infer<Item>> => {
    const alike = known.find(({ said }) => saysTheSame(said, value, field));
    if (alike !== undefined) {
      const bytes = bytesOf.safeParse(Reflect.get(value as object, field));
      if (bytes.success) return { success: true, data: { ...alike.data, [field]: bytes.data } };
    }
    const read = item.safeParse(value);
    if (read.success && known.length < MOST_KNOWN) known.push({ said: value as object, data: read.data });
    return read;
  };
}

/** Of what JSON.parse made, but for one member; as deep as what is known, which was found valid. */
function saysTheSame(known: unknown, value: unknown, except?: string): boolean {
  if (typeof known !== 'object' || known === null) return known === value;
  if (typeof value !== 'object' || value === null || Array.isArray(known) !== Array.isArray(value)) return false;
  const names = Object.keys(known);
  return (
    names.length === Object.keys(value).length &&
    names.every(
      (name) => name === except || (Object.hasOwn(value, name) && saysTheSame(Reflect.get(known, name), Reflect.get(value, name))),
    )
  );
}
