/** Why something that a tenant named was not reached: it repeats nothing of the address or the answer. */
export class EgressError extends Error {
  override readonly name = 'EgressError';

  constructor(
    readonly reason:
      | 'url'
      | 'port'
      | 'address'
      | 'name'
      | 'connection'
      | 'time-limit'
      | 'status'
      | 'media-type'
      | 'too-large'
      | 'not-json'
      | 'not-a-key-set',
    cause?: unknown,
  ) {
    super(reason, { cause });
  }
}
