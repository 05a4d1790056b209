import type { LongOperation } from '#contract';

/** What is counted, and since when without a pause. */
export interface Counted {
  readonly population: number | undefined;
  readonly done: number;
  readonly kept: number;
  readonly failed: number;
  readonly pacedFrom: Date | undefined;
  readonly pacedAt: Date | undefined;
  readonly pacedBase: number;
  /** Of a project by upload. */
  readonly byUpload: { readonly uploaded: number; readonly settled: number } | undefined;
}

/** How fast it went since it last began to go, and how long it will take at this. */
export function progressOf({
  population,
  done,
  kept,
  failed,
  pacedFrom,
  pacedAt,
  pacedBase,
  byUpload,
}: Counted): LongOperation['progress'] {
  const settled = done + failed;
  const seconds = pacedFrom === undefined || pacedAt === undefined ? 0 : (pacedAt.getTime() - pacedFrom.getTime()) / 1000;
  const perSecond = seconds > 0 ? Math.round((10 * (settled - pacedBase)) / seconds) / 10 : 0;
  const left = population === undefined ? undefined : Math.max(0, population - settled);
  return {
    ...(population !== undefined && { population }),
    ...{ done, kept, failed, perSecond, ...byUpload },
    ...(left !== undefined && perSecond > 0 && { etaSeconds: Math.ceil(left / perSecond) }),
  };
}
