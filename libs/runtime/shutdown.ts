import type { Logger } from './logging.js';

/** Steps of an orderly end, in order: stop accepting, wait for calls in flight, close what they used. */
export interface DrainStep {
  readonly name: string;
  run(): Promise<void> | void;
}

export interface ShutdownOptions {
  readonly logger: Logger;
  /** Called once, in order; a failing step does not keep the following from running. */
  readonly steps: readonly DrainStep[];
  /** After this many milliseconds the process ends with code 1, drained or not. */
  readonly deadlineMs?: number;
  /** Also drain when the parent process dies (embedded platform), so that no plane outlives its starter. */
  readonly exitWithParent?: boolean;
}

const DRAIN_DEADLINE_MS = 10_000;
const PARENT_CHECK_MS = 500;

/**
 * Drains on SIGTERM, SIGINT and SIGHUP, then exits with 0. Repeated signals change nothing: a terminal and npm both
 * deliver the same Ctrl-C.
 * @returns the drain itself, for programs that end on their own
 */
export function drainOnSignal(options: ShutdownOptions): () => Promise<void> {
  let draining: Promise<void> | undefined;
  const drain = () => {
    draining ??= runDrain(options);
    return draining;
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void drain());
  if (options.exitWithParent === true) watchParent(() => void drain());
  return drain;
}

async function runDrain({ logger, steps, deadlineMs = DRAIN_DEADLINE_MS }: ShutdownOptions): Promise<void> {
  logger.info('draining');
  const deadline = setTimeout(() => endNow(logger), deadlineMs).unref();
  for (const step of steps) await runStep(step, logger);
  clearTimeout(deadline);
  logger.info('stopped');
  process.exit(0);
}

async function runStep(step: DrainStep, logger: Logger): Promise<void> {
  try {
    await step.run();
  } catch (error) {
    logger.error({ err: error, step: step.name }, 'a step of the shutdown failed');
  }
}

function endNow(logger: Logger): void {
  logger.error('the shutdown took too long');
  process.exit(1);
}

function watchParent(drain: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    drain();
  }, PARENT_CHECK_MS);
  timer.unref();
}
