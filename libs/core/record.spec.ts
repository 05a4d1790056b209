import { CONDITION_NAMES, MAX_CONTEXT_PAIRS, type RecordBody } from '#contract';
import type { Call } from './call.js';
import { Refused } from './errors.js';
import { newCredentialId, newKeyId, newKeyVersionId, newLogId, newRequestId, newStopId } from './identifiers.js';
import type { Principal } from './principal.js';
import { type LogOfRecord, recordBody, type RecordDetails } from './record.js';

/** What trail_append takes of one (migration 0008). */
const MAX_RECORD_BYTES = 8000;

it('the longest record that a service can cause is taken: nobody can make a call that leaves none', () => {
  const now = Date.UTC(2999, 0);
  const digest = 'd'.repeat(22);
  const details: RecordDetails = {
    key: { id: newKeyId(now), versionId: newKeyVersionId(now), state: 'PendingDeletion', aliasUsed: `alias/${'a'.repeat(255)}` },
    crypto: { context: Array<string>(MAX_CONTEXT_PAIRS).fill(digest), plaintextSize: '≤8192' },
    authz: {
      ...{ decision: 'allow', policyVersion: 2 ** 31, ruleId: 'r'.repeat(63), stopId: newStopId(now) },
      unmet: CONDITION_NAMES.flatMap((name) => [`when.${name}`, `unless.${name}`]),
    },
    asked: { dryRun: true, justification: { code: 'MODIFIED_CUSTOMER_INITIATED_ACCESS', ticket: '\\'.repeat(64) } },
  };
  const principal: Principal = {
    ...{ role: 'service', tenant: 'platform' as Principal['tenant'], name: 's'.repeat(64), credentialId: newCredentialId(now) },
    ...{ authMethod: 'private-key-jwt', expiresAt: new Date(now), epoch: '' },
  };
  const call: Call = { principal, tenant: 'acme' as Call['tenant'], sourceAddress: '::', requestId: newRequestId(now), startedAt: 0 };
  const log: LogOfRecord = { rules: { log: { logId: newLogId(now) } }, digest: () => digest };
  const error = new Refused('too-many-requests', '', { reason: 'limit-reached' });
  const body: RecordBody = recordBody(
    'GenerateDataKeyWithoutPlaintext',
    call,
    principal,
    log,
    { error, details, discarded: 500, count: 500 },
    now,
  );
  expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThanOrEqual(MAX_RECORD_BYTES);
});
