import type { Command } from 'commander';
import type { CompletedRewrap } from '#contract';
import { CertificateRefused, verifyCertificate } from '#trail';
import type { OpenSession } from '../session.js';
import { verifyStatement } from './verify-statement.js';

/** For anybody who was given the completion certificate of a re-wrap. */
export function verifyCertificateCommand(program: Command, open: OpenSession): void {
  verifyStatement(program, open, {
    ...{ command: 'verify-certificate', description: 'verify the completion certificate of a re-wrap offline, and say what it says' },
    ...{ verify: verifyCertificate, Refused: CertificateRefused, inWords },
  });
}

const inWords = ({ tenant, keyId, service, operationId, fromVersionId, toVersionId, ...certificate }: CompletedRewrap): string =>
  [
    `OK: of ${certificate.population} ${service === undefined ? 'value(s) of secrets' : `item(s) of ${service}`} under ${keyId} of ${tenant}, ${certificate.moved} were moved from ${fromVersionId} to ${toVersionId} or a newer version, ${certificate.kept} were there already by their headers, ${certificate.failed} failed.`,
    `${operationId} ran from ${certificate.startedAt} to ${certificate.endedAt}. Records ${certificate.firstRecord} to ${certificate.lastRecord} of the log tell it.`,
  ].join('\n');
