/** Whether a thrown value carries this code, such as `ENOENT`. Not by `instanceof`: jest's realm has an `Error` of its own. */
export function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
