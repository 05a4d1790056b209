/** Does the work with bytes of a request that must not outlive it; whatever becomes of it, they are zeros then. */
export async function wiped<Answer>(bytes: Uint8Array | undefined, work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } finally {
    bytes?.fill(0);
  }
}
