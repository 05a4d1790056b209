import type { CredentialId, LongOperation } from '#contract';
import { OperationWatch } from './operation-watch.js';

const ANNA = { credentialId: 'cred_anna' as CredentialId, forMs: 60_000 };
const RUNNING = { operationId: 'op_1', state: 'running' } as unknown as LongOperation;

describe('listening to a long operation', () => {
  const watch = new OperationWatch(1);
  const listening = (listener = ANNA, look = async () => RUNNING) => watch.events(listener, RUNNING, look)[Symbol.asyncIterator]();

  it('is given to ten at a time with one credential, to others meanwhile, and again when one leaves', async () => {
    // The eleventh was let in before the others had begun.
    const streams = Array.from({ length: 11 }, () => listening());
    const first = await Promise.all(streams.map((stream) => stream.next()));
    expect(first.filter(({ done }) => done)).toHaveLength(1);
    expect(() => listening()).toThrow(expect.objectContaining({ code: 'too-many-requests', retryAfterSeconds: 1 }));
    const others = listening({ ...ANNA, credentialId: 'cred_bert' as CredentialId });
    expect((await others.next()).done).toBe(false);
    await streams[0]!.return!();
    expect((await listening().next()).done).toBe(false);
  });

  it.each([
    ['may hear no more', { look: () => Promise.reject(new Error('revoked')) }],
    ['has a credential that is over', { forMs: 0 }],
  ])('ends for who %s', async (_, { look, forMs = 60_000 }: { look?: () => Promise<LongOperation>; forMs?: number }) => {
    const stream = listening({ credentialId: 'cred_cleo' as CredentialId, forMs }, look);
    expect((await stream.next()).done).toBe(false);
    expect((await stream.next()).done).toBe(true);
  });
});
