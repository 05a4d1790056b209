import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const doom = z.object({ at: z.string(), by: z.enum(['SIGKILL', 'SIGSTOP']) });

/** In the worker: where its parent may have it killed or stopped. What else its parent says, `hears` is told. */
export function doomed<Point extends string>(hears: (message: unknown) => void = () => undefined) {
  let next: z.infer<typeof doom> | undefined;
  process.on('message', (message) => {
    const { success, data } = doom.safeParse(message);
    if (success) next = data;
    else hears(message);
  });
  process.on('disconnect', () => process.exit(0));
  const tell = (message: object) => new Promise((resolve) => process.send!(message, resolve));
  async function pass(point: Point): Promise<void> {
    if (next?.at !== point) return;
    const { by } = next;
    next = undefined;
    await tell({ passes: point });
    process.kill(process.pid, by);
    // A stop takes effect a moment after the call.
    await sleep(50);
  }
  return {
    tell,
    pass,
    async passed<Answer>(work: Promise<Answer>, point: Point): Promise<Answer> {
      const answer = await work;
      await pass(point);
      return answer;
    },
  };
}
