import type { TrailRecord } from '#contract';
import { eventNames } from './event-names.js';
import { beyondTheShape, type LeavingRecord } from './leaving-record.js';

const IDENTITIES = {
  admin: 'ram-user',
  auditor: 'ram-user',
  enrolment: 'ram-user',
  operator: 'root-account',
  service: 'cloudsso-user',
  worker: 'system',
} as const satisfies Record<TrailRecord['actor']['type'], string>;

/** One record in the shape of Alibaba Cloud ActionTrail (eventVersion 1). Accounts are tenants. */
export function actionTrailEvent(leaving: LeavingRecord) {
  const { record, tenant, personal } = leaving;
  const { actor, key, error, request } = record;
  return {
    eventId: record.id,
    eventVersion: '1',
    eventSource: 'kms.keyward',
    serviceName: 'Kms',
    eventName: eventNames(record.op).alibaba,
    eventType: actor.type === 'worker' ? 'ServiceEvent' : 'ApiCall',
    eventCategory: record.category === 'use' ? 'Data' : 'Management',
    eventRW: record.rw === 'read' ? 'Read' : 'Write',
    eventTime: `${record.recordedAt.slice(0, 19)}Z`,
    acsRegion: 'keyward',
    recipientAccountId: tenant,
    requestId: request.requestId,
    apiVersion: 'v1',
    sourceIpAddress: personal.sourceIp ?? request.source ?? 'Internal',
    userAgent: personal.userAgent ?? actor.authMethod ?? 'keyward',
    userIdentity: {
      type: IDENTITIES[actor.type],
      principalId: `${actor.tenant}/${actor.principal}`,
      accountId: actor.tenant,
      userName: actor.principal,
      ...(actor.credentialId !== undefined && { accessKeyId: actor.credentialId }),
    },
    ...(error && { errorCode: error.code, errorMessage: error.reason }),
    requestParameters: {
      ...(key && { KeyId: key.id }),
      ...(key?.aliasUsed !== undefined && { AliasName: key.aliasUsed }),
      ...(request.dryRun && { DryRun: true }),
    },
    ...(key && { resourceType: 'ACS::KMS::Key', resourceName: key.id, referencedResources: { 'ACS::KMS::Key': [key.id] } }),
    additionalEventData: beyondTheShape(leaving),
  };
}
