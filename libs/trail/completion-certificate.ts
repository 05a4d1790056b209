import type { CompletedRewrap } from '#contract';
import { signedFields } from './signed-lines.js';
import type { VerifierKey } from './verifier-key.js';

export class CertificateRefused extends Error {
  readonly code = 'malformed-certificate';
  constructor(detail: string) {
    super(`This is not a completion certificate: ${detail}.`);
    this.name = 'CertificateRefused';
  }
}

const TIME = String.raw`(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)`;
const COUNT = String.raw`(0|[1-9]\d{0,14})`;
const LINES = [
  'keyward completion certificate v1',
  'tenant: ([a-z][a-z0-9-]{1,30})',
  'operation: (op_[0-9a-z]{26})',
  'key: (key_[0-9a-z]{26})',
  'from: (kver_[0-9a-z]{26})',
  'to: (kver_[0-9a-z]{26})',
  '(?:service: ([a-z][a-z0-9-]{0,62})|of: secrets)',
  `population: ${COUNT}`,
  `moved: ${COUNT}`,
  `kept: ${COUNT}`,
  `failed: ${COUNT}`,
  `started: ${TIME}`,
  `ended: ${TIME}`,
  `records: ${COUNT} ${COUNT}`,
];

/**
 * Reads a certificate as custody signs it (custody/completion-certificate.ts), and verifies its signature, offline, by the verifier key of the tenant's log.
 * @throws NoteRefused malformed-note, unknown-signer, bad-signature; CertificateRefused for any other signed text, and for counts that do
 * not add up
 */
export async function verifyCertificate(text: string, known: readonly VerifierKey[]): Promise<CompletedRewrap> {
  const fields = await signedFields(text, known, LINES);
  if (fields === undefined) throw new CertificateRefused('its text is another one');
  const service = fields[5];
  const [tenant, operationId, keyId, fromVersionId, toVersionId, , ...rest] = fields.map((field) => field ?? '');
  const [population, moved, kept, failed, , , firstRecord, lastRecord] = rest.map(Number);
  if (population !== Number(moved) + Number(kept) + Number(failed)) throw new CertificateRefused('its counts do not add up');
  return {
    ...{ tenant: tenant!, operationId: operationId!, keyId: keyId!, fromVersionId: fromVersionId!, toVersionId: toVersionId! },
    ...{ service, population, moved: moved!, kept: kept!, failed: failed!, startedAt: rest[4]!, endedAt: rest[5]! },
    ...{ firstRecord: firstRecord!, lastRecord: lastRecord! },
  };
}
