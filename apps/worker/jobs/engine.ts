import { readFileSync } from 'node:fs';
import {
  type BackendFactory,
  createPostgresBackend,
  createRedisBackend,
  type Job as QueuedJob,
  type IQueueBackend,
  withBackend,
} from 'bullmq';
import { z } from 'zod';
import { tenantId } from '#contract';
import { KeywardError } from '#core';
import type { Job, JobQueue } from './jobs.js';

/** Where BullMQ keeps its jobs: in a schema of the platform's database, or in Redis. */
export type EngineUrl = { readonly databaseUrl: string } | { readonly redisUrl: string };

/** A URL with the password that a file holds; without one, the URL as it is. */
export function redisAt(url: string, passwordFile: string | undefined): EngineUrl {
  const redis = new URL(url);
  if (passwordFile !== undefined) redis.password = readFileSync(passwordFile, 'utf8').trim();
  return { redisUrl: redis.href };
}

export interface EngineParts {
  readonly at: EngineUrl;
  readonly run: (job: Job) => Promise<void>;
  readonly log: { error(fields: object, message: string): void };
  /** A worker that does not say so for this long has lost its jobs to others. */
  readonly lockMs?: number;
}

const QUEUE = 'due';
/** As migration 0080 names it. */
const SCHEMA = 'keyward_queue';
/** In Redis, every key of ours begins with it. */
const PREFIX = 'keyward';
const LIMITS = { max: 3, connectionTimeoutMillis: 2000, statement_timeout: 5000, query_timeout: 5000, keepAlive: true };
/** Jobs under way in one process: most wait for the HSM, which does one thing at a time. */
const AT_ONCE = 4;
const LOCK_MS = 10_000;
const ANSWER_MS = 5000;
/** After an error of the queue. */
const RETRY_MS = 1000;
/** A job is one try. Nothing of it stays behind: the ledger tells what became of it, and the same id may come again. */
const ONE_TRY = { attempts: 1, removeOnComplete: true, removeOnFail: true } as const;
/** Whoever had a stalled job was killed or stopped; the job is not to blame. */
const NEVER_TOO_OFTEN = 1_000_000;

const row = z.object({ tenant: tenantId, subject: z.string() });

interface Opened {
  readonly queue: {
    add(name: string, data: object, options: object): Promise<unknown>;
    getActiveCount(): Promise<number>;
    waitUntilReady(): Promise<unknown>;
    close(): Promise<void>;
  };
  readonly worker: { waitUntilReady(): Promise<unknown>; close(): Promise<void> };
}

/** BullMQ, with nothing in it that could not be lost. */
export class Engine implements JobQueue {
  private constructor(private readonly opened: Opened) {}

  /** In PostgreSQL, once it is reached: BullMQ would remember a first failure for ever. Redis may come later. @throws KeywardError unavailable */
  static async start(parts: EngineParts): Promise<Engine> {
    if ('redisUrl' in parts.at) {
      const url = parts.at.redisUrl;
      // Adding gives up: what is due is found again. Taking waits until Redis is back.
      return new Engine(
        opened(createRedisBackend, { adding: { url, maxRetriesPerRequest: 1 }, taking: { url, maxRetriesPerRequest: null } }, parts),
      );
    }
    const connection = { ...LIMITS, connectionString: parts.at.databaseUrl, schema: SCHEMA, application_name: 'keyward worker queue' };
    const engine = new Engine(opened(createPostgresBackend, { adding: connection, taking: connection }, parts));
    try {
      await engine.opened.queue.waitUntilReady();
      await engine.opened.worker.waitUntilReady();
      return engine;
    } catch (cause) {
      await engine.close();
      throw new KeywardError('unavailable', '', { reason: 'queue: not reached', cause });
    }
  }

  /** @throws Error when the queue does not take them in time */
  async add(jobs: readonly Job[]): Promise<void> {
    // Of the row: whoever finds it again while it waits or is under way adds nothing.
    const idOf = ({ kind, tenant, subject }: Job) => `${kind}/${tenant}/${subject}`;
    // Not in bulk: for that BullMQ makes temporary tables in PostgreSQL, which no plane may (docs/adr/0011).
    const add = (job: Job) =>
      this.opened.queue.add(job.kind, { tenant: job.tenant, subject: job.subject }, { ...ONE_TRY, jobId: idOf(job) });
    await inTime(Promise.all(jobs.map(add)));
  }

  /** Answers when the queue does. */
  async ping(): Promise<void> {
    await inTime(this.opened.queue.getActiveCount());
  }

  /** Takes no more jobs, and waits for those that are under way. */
  async close(): Promise<void> {
    await this.opened.worker.close();
    await this.opened.queue.close();
  }
}

function opened<B extends IQueueBackend, C>(
  factory: BackendFactory<B, C>,
  { adding, taking }: { readonly adding: C; readonly taking: C },
  { run, log, lockMs = LOCK_MS }: EngineParts,
): Opened {
  const { Queue, Worker } = withBackend(factory);
  const queue = new Queue(QUEUE, { connection: adding, prefix: PREFIX });
  const locks = { lockDuration: lockMs, stalledInterval: lockMs, maxStalledCount: NEVER_TOO_OFTEN };
  const worker = new Worker(QUEUE, ({ name, data }: QueuedJob) => run({ kind: name, ...row.parse(data) }), {
    ...{ connection: taking, prefix: PREFIX, concurrency: AT_ONCE, runRetryDelay: RETRY_MS, ...locks },
  });
  // Without a listener, an error would end the process.
  const onError = (err: Error) => log.error({ err }, 'the queue failed; what is due stays due');
  queue.on('error', onError);
  worker.on('error', onError);
  return { queue, worker };
}

async function inTime<Answer>(work: Promise<Answer>): Promise<Answer> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('The queue did not answer in time.')), ANSWER_MS);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
