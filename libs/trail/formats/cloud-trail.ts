import { eventNames } from './event-names.js';
import { beyondTheShape, type LeavingRecord } from './leaving-record.js';

/** One record in the shape of AWS CloudTrail (eventVersion 1.11). Accounts are tenants, the ARN's partition is `keyward`. */
export function cloudTrailEvent(leaving: LeavingRecord) {
  const { record, tenant, personal } = leaving;
  const { actor, key, error, request } = record;
  return {
    eventVersion: '1.11',
    userIdentity: {
      type: actor.type === 'service' ? 'AWSService' : 'IAMUser',
      principalId: `${actor.tenant}/${actor.principal}`,
      arn: `arn:keyward:iam::${actor.tenant}:${actor.type}/${actor.principal}`,
      accountId: actor.tenant,
      ...(actor.credentialId !== undefined && { accessKeyId: actor.credentialId }),
      userName: actor.principal,
    },
    eventTime: `${record.recordedAt.slice(0, 19)}Z`,
    eventSource: 'kms.keyward',
    eventName: eventNames(record.op).aws,
    awsRegion: 'keyward',
    sourceIPAddress: personal.sourceIp ?? request.source ?? 'keyward',
    userAgent: personal.userAgent ?? actor.authMethod ?? 'keyward',
    ...(error && { errorCode: error.code, errorMessage: error.reason }),
    requestParameters: {
      ...(key && { keyId: key.id }),
      ...(key?.aliasUsed !== undefined && { aliasName: key.aliasUsed }),
      ...(request.dryRun && { dryRun: true }),
    },
    responseElements: null,
    additionalEventData: beyondTheShape(leaving),
    requestID: request.requestId,
    eventID: record.id,
    readOnly: record.rw === 'read',
    ...(key && { resources: [{ accountId: tenant, type: 'AWS::KMS::Key', ARN: `arn:keyward:kms::${tenant}:key/${key.id}` }] }),
    eventType: 'AwsApiCall',
    managementEvent: record.category !== 'use',
    recipientAccountId: tenant,
    eventCategory: record.category === 'use' ? 'Data' : 'Management',
  };
}
