import { readFileSync } from 'node:fs';
import { compactDecrypt, CompactEncrypt, importPKCS8, importSPKI } from 'jose';
import type { SinkId, TenantId } from '#contract';
import type { SinkOpening, SinkSealing } from '#core';

/** RFC 7516 and 7518 §4.6: an ephemeral X25519 key agrees with the worker's, and its half is forgotten. */
const HEADER = { alg: 'ECDH-ES', enc: 'A256GCM' } as const;
const ALGORITHMS = { keyManagementAlgorithms: [HEADER.alg], contentEncryptionAlgorithms: [HEADER.enc] };

/**
 * Seals with the worker's public key, so that no plane can open what it sealed. Tenant and sink stand in the header, which the tag covers:
 * what is moved to another row does not open.
 * @throws Error unless the file holds an X25519 public key, SubjectPublicKeyInfo as PEM
 */
export async function readSealing(file: string): Promise<SinkSealing> {
  const key = await importSPKI(readFileSync(file, 'utf8'), HEADER.alg);
  return {
    seal: (tenant, sink, plain) => new CompactEncrypt(plain).setProtectedHeader({ ...HEADER, tenant, sink }).encrypt(key),
  };
}

/** The worker's half. @throws Error unless the file holds an X25519 private key, PKCS #8 as PEM */
export async function readOpening(file: string): Promise<SinkOpening> {
  const key = await importPKCS8(readFileSync(file, 'utf8'), HEADER.alg);
  return {
    open: async (tenant: TenantId, sink: SinkId, sealed: string) => {
      const { plaintext, protectedHeader } = await compactDecrypt(sealed, key, ALGORITHMS);
      if (protectedHeader['tenant'] !== tenant || protectedHeader['sink'] !== sink) throw new Error('sealed for another sink');
      return plaintext;
    },
  };
}
