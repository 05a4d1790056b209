import { openDataDir } from './data-dir.js';
import { EmbeddedPostgres } from './postgres.js';
import { lockDataDir } from './starter-lock.js';

/**
 * Calls `work` with the superuser's URL of the embedded database of a data directory: the one that runs, or one that is started, and made where
 * there is none, for as long as it takes.
 * @throws Error when a platform is just being started or stopped there
 */
export async function withEmbeddedDatabase<Answer>(path: string, work: (superuserUrl: string) => Promise<Answer>): Promise<Answer> {
  const dataDir = openDataDir(path);
  const running = EmbeddedPostgres.urlOfRunning(dataDir);
  if (running !== undefined) return await work(running);
  const unlock = lockDataDir(dataDir.file('starter.lock'));
  try {
    const postgres = await EmbeddedPostgres.start({ dataDir });
    try {
      return await work(postgres.superuserUrl());
    } finally {
      await postgres.stop();
    }
  } finally {
    unlock();
  }
}
