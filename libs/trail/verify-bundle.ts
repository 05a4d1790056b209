import { ByteReader, type ByteSource } from './byte-reader.js';
import { CheckpointRefused } from './checkpoint.js';
import { base64 } from './octets.js';
import { BundleRefused, readBundle } from './read-bundle.js';
import { NoteRefused } from './signed-note.js';
import { parseVkey, VerifierKeyRefused } from './verifier-key.js';
import { checkSignature } from './verify/check-signature.js';
import { compare } from './verify/compare.js';
import { recomputeRoot } from './verify/recompute-root.js';
import { type FailedReport, VerificationFailed, type VerificationReport } from './verify/report.js';

/**
 * Verifies an exported log offline: read → check the signature → recompute the root from all records → compare.
 * `vkey` is the log's key as the auditor pinned it earlier; without one the bundle is only checked against its own, and the report
 * says `pinned: false`. Reads the bundle once, one tile in memory at a time.
 * A bundle that does not stand is a report, never an error. @throws VerifierKeyRefused when the pinned key itself is none
 */
export async function verifyBundle(source: ByteSource, options: { readonly vkey?: string | undefined } = {}): Promise<VerificationReport> {
  const pinned = options.vkey === undefined ? undefined : parseVkey(options.vkey);
  const reader = new ByteReader(source);
  try {
    const bundle = await readBundle(reader);
    const signed = await checkSignature(bundle, pinned);
    const found = await recomputeRoot(bundle.tiles, signed.logId);
    compare(signed.checkpoint, found);
    const { origin, root } = signed.checkpoint;
    const times = found.firstAt === undefined || found.lastAt === undefined ? {} : { firstAt: found.firstAt, lastAt: found.lastAt };
    return { status: 'verified', origin, size: found.count, root: base64(root), ...times, pinned: signed.pinned };
  } catch (error) {
    return failure(error);
  } finally {
    await reader.close();
  }
}

function failure(error: unknown): FailedReport {
  if (error instanceof VerificationFailed) return error.report;
  if (error instanceof VerifierKeyRefused) return { status: 'failed', code: 'malformed-vkey', message: error.message };
  if (error instanceof BundleRefused || error instanceof NoteRefused || error instanceof CheckpointRefused)
    return { status: 'failed', code: error.code, message: error.message };
  throw error;
}
