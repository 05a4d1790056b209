import type { CompletedRewrap } from '#contract';

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
    rewrap.service === undefined ? 'of: secrets' : `service: ${rewrap.service}`,
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
