/**
 * Checks of what came over a socket, by hand: they run at every call. All throw RangeError, which the caller learns as "malformed".
 * The bytes are views of a frame that is wiped when the handler returns.
 */
export function bytesAt(args: readonly unknown[], index: number, min: number, max: number): Buffer {
  const value = args[index];
  if (!Buffer.isBuffer(value) || value.length < min || value.length > max)
    throw new RangeError(`Argument ${index} is not ${min} to ${max} bytes.`);
  return value;
}

export function integerAt(args: readonly unknown[], index: number, min: number, max: number): number {
  const value = args[index];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max)
    throw new RangeError(`Argument ${index} is not ${min} to ${max}.`);
  return value;
}

export function textAt(args: readonly unknown[], index: number, pattern: RegExp): string {
  const value = args[index];
  if (typeof value !== 'string' || !pattern.test(value)) throw new RangeError(`Argument ${index} is not a text of the right form.`);
  return value;
}
