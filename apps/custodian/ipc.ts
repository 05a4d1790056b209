/** What the child tells its parent. Silence means that it hangs. */
export type ChildMessage = { readonly is: 'alive' } | { readonly is: 'ready' } | { readonly is: 'recycle' };

export const HEARTBEAT_MS = 500;

export function isChildMessage(message: unknown): message is ChildMessage {
  return typeof message === 'object' && message !== null && 'is' in message && typeof message.is === 'string';
}
