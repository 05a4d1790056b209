import { ByteReader, type ByteSource } from './byte-reader.js';
import { CheckpointRefused } from './checkpoint.js';
import { parseWitnessKey, type Quorum } from './cosignature.js';
import { KeyLinkRefused } from './key-links.js';
import { base64 } from './octets.js';
import { type Bundle, BundleRefused, readBundle } from './read-bundle.js';
import type { PlatformSpeed } from './sha256.js';
import { NoteRefused } from './signed-note.js';
import { parseVkey, VerifierKeyRefused } from './verifier-key.js';
import { checkSignature } from './verify/check-signature.js';
import { compare } from './verify/compare.js';
import { recomputeRoot } from './verify/recompute-root.js';
import { type FailedReport, VerificationFailed, type VerificationReport } from './verify/report.js';

export interface VerifyOptions extends Partial<PlatformSpeed> {
  /** The log's key as the auditor pinned it earlier. */
  readonly vkey?: string | undefined;
  /** A checkpoint that the auditor kept from earlier: the log must be its continuation. */
  readonly since?: string | undefined;
  /** So many of these witnesses must have cosigned the newest checkpoint or the one in `since`. */
  readonly witnesses?: Quorum | undefined;
}

/**
 * Verifies an exported log offline: read → check the signature → recompute the root from all records → compare.
 * Without a pinned key the bundle is only checked against its own, and the report says `pinned: false`. Reads the bundle once, one tile in
 * memory at a time.
 * The platform's own SHA-256 and decoder are several times as fast as the library's (`nodeSpeed` of the SDK).
 * A bundle that does not stand is a report, never an error. @throws VerifierKeyRefused when a pinned or a witness's key itself is none
 */
export async function verifyBundle(source: ByteSource, options: VerifyOptions = {}): Promise<VerificationReport> {
  const reader = new ByteReader(source);
  try {
    return await verifyLog(() => readBundle(reader), options);
  } finally {
    await reader.close();
  }
}

/** The same for a log from anywhere, as one that is read tile by tile (`tiledLog`). @throws what `open` and its tiles throw, and VerifierKeyRefused */
export async function verifyLog(
  open: () => Promise<Bundle>,
  { vkey, since, witnesses, ...speed }: VerifyOptions = {},
): Promise<VerificationReport> {
  const pinned = vkey === undefined ? undefined : parseVkey(vkey);
  witnesses?.keys.forEach(parseWitnessKey);
  try {
    const log = await open();
    const signed = await checkSignature(log, { pinned, since, witnesses });
    const found = await recomputeRoot(log.tiles, { logId: signed.logId, earlier: signed.earlier, ...speed });
    await compare(signed, found);
    const { origin, root } = signed.checkpoint;
    const times = found.firstAt === undefined || found.lastAt === undefined ? {} : { firstAt: found.firstAt, lastAt: found.lastAt };
    return {
      status: 'verified',
      origin,
      size: found.count,
      root: base64(root),
      ...times,
      ...(found.disclosed > 0 && { disclosed: found.disclosed }),
      ...(found.unseen.length > 0 && { unseen: found.unseen, prunedBefore: found.unseen.at(-1)!.to }),
      pinned: signed.pinned,
      ...(signed.followed && { followedTo: signed.followed }),
      ...(signed.witnessed && { witnessed: signed.witnessed }),
    };
  } catch (error) {
    return failure(error);
  }
}

function failure(error: unknown): FailedReport {
  if (error instanceof VerificationFailed) return error.report;
  if (error instanceof VerifierKeyRefused) return { status: 'failed', code: 'malformed-vkey', message: error.message };
  if (
    error instanceof BundleRefused ||
    error instanceof NoteRefused ||
    error instanceof CheckpointRefused ||
    error instanceof KeyLinkRefused
  )
    return { status: 'failed', code: error.code, message: error.message };
  throw error;
}
