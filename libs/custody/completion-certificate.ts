/** What a certificate tells of a re-wrap that is over. Times are RFC 3339, UTC. */
export interface CompletedRewrap {
  readonly tenant: string;
  readonly operationId: string;
  readonly keyId: string;
  readonly fromVersionId: string;
  readonly toVersionId: string;
  readonly service: string;
  readonly population: number;
  /** Re-encrypted. */
  readonly moved: number;
  /** By their headers they were under `toVersionId`, or a newer version, already. */
  readonly kept: number;
  readonly failed: number;
  readonly startedAt: string;
  readonly endedAt: string;
  /** Places of its first and its last record in the tenant's log. */
  readonly firstRecord: number;
  readonly lastRecord: number;
}

/**
 * The text of a completion certificate: `name: value` lines under a first line that no other signed text of ours has. libs/trail reads it.
 * Custody knows nothing of re-wraps: it signs what the key plane says, and the records that it names are what proves it.
 */
export function certificateBody(rewrap: CompletedRewrap): string {
  const lines = [
    'keyward completion certificate v1',
    `tenant: ${rewrap.tenant}`,
    `operation: ${rewrap.operationId}`,
    `key: ${rewrap.keyId}`,
    `from: ${rewrap.fromVersionId}`,
    `to: ${rewrap.toVersionId}`,
    `service: ${rewrap.service}`,
    `population: ${rewrap.population}`,
    `moved: ${rewrap.moved}`,
    `kept: ${rewrap.kept}`,
    `failed: ${rewrap.failed}`,
    `started: ${rewrap.startedAt}`,
    `ended: ${rewrap.endedAt}`,
    `records: ${rewrap.firstRecord} ${rewrap.lastRecord}`,
  ];
  return `${lines.join('\n')}\n`;
}
