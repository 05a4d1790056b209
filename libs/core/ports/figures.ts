/** Of the platform as a whole. */
export interface PlatformFigures {
  /** The database's clock, seconds since 1970. */
  readonly now: number;
  readonly records: number;
  /** Records under no checkpoint yet, and the age of the oldest. */
  readonly unsigned: number;
  readonly unsignedSeconds: number;
  /** What the worker could not do the last time. */
  readonly failingJobs: number;
  /** For how long the kind of job that has waited longest should have been looked at. */
  readonly overdueSeconds: number;
  /** Signed records that active sinks have not got. */
  readonly undelivered: number;
}

export interface FigureReads {
  /** @throws KeywardError unavailable */
  figures(): Promise<PlatformFigures>;
}
