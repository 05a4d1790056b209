import type { ImportParameters } from '#core';

/**
 * The text that the tenant's log key signs for an import: `name: value` lines under a first line that no other signed text of ours has.
 * libs/trail reads it. Who wraps a key by it knows that the wrapping key's private half is in the tenant's HSM, and what it is for.
 */
export function importStatement(parameters: ImportParameters, wrappingKey: Uint8Array): string {
  const { tenant, keyId, versionId, spec, usage, importToken, algorithm, expiresAt } = parameters;
  const lines = [
    'keyward import parameters v1',
    `tenant: ${tenant}`,
    `key: ${keyId}`,
    `version: ${versionId}`,
    `spec: ${spec}`,
    `usage: ${usage}`,
    `import-token: ${importToken}`,
    `algorithm: ${algorithm}`,
    `expires: ${new Date(expiresAt).toISOString()}`,
    `wrapping-key: ${Buffer.from(wrappingKey).toString('base64')}`,
  ];
  return `${lines.join('\n')}\n`;
}
