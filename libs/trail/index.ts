export { type AddCheckpoint, AddCheckpointRefused, formatAddCheckpoint, parseAddCheckpoint, TLOG_SIZE_TYPE } from './add-checkpoint.js';
export { type ByteSource, ByteReader } from './byte-reader.js';
export { type Checkpoint, CheckpointRefused, formatCheckpointBody, logIdOf, parseCheckpoint, type TreeHead } from './checkpoint.js';
export { cosignature, type Cosignature, cosignaturesOf, cosignedBytes, parseWitnessKey, type Quorum, witnessKey } from './cosignature.js';
export { type Disclosures, disclosuresByDigest, disclosuresIn, readDisclosure } from './disclosure.js';
export { encodeRecord, type EncodingProblem, MAX_BODY_BYTES, MAX_RECORD_BYTES, RecordUnencodable } from './encode-record.js';
export { extensionProof } from './extension-proof.js';
export { formatRecord } from './formats/format-record.js';
export { appendLeaf, decodeFrontier, emptyTree, encodeFrontier, type Frontier, growTree, rootOf, type TileNode } from './frontier.js';
export { followKeys, KeyLinkRefused, parseKeyLinks } from './key-links.js';
export { parseRecord, type RecordProblem, RecordRefused } from './parse-record.js';
export { consistencyProof, inclusionProof, treeRoot } from './proofs.js';
export { KEYS_FILE, type Bundle, BundleRefused, type BundleTile, readBundle } from './read-bundle.js';
export {
  composeNote,
  formatNote,
  MAX_SIGNATURES,
  type Note,
  type NoteProblem,
  NoteRefused,
  type NoteSignature,
  parseNote,
  signatureLine,
  verifyNote,
} from './signed-note.js';
export { type ImportStatement, StatementRefused, verifyImportStatement } from './import-statement.js';
export { CertificateRefused, verifyCertificate } from './completion-certificate.js';
export { ReceiptRefused, type ShreddingReceipt, verifyReceipt } from './shredding-receipt.js';
export type { PlatformSpeed } from './sha256.js';
export { type RecordPosition, spliceRecord } from './splice-record.js';
export { type FetchTile, tiledLog } from './tiled-log.js';
export { frontierAt, type ReadHashTile, TileProofs } from './tile-proofs.js';
export { decodeEntries, decodeHashes, encodeEntries, MAX_ENTRY_BYTES, type TileKind, tilePath } from './tiles.js';
export { EMPTY_ROOT, HASH_BYTES, leafHash, nodeHash } from './tree-hash.js';
export {
  consistencyProofOf,
  formatRecordProof,
  parseRecordProof,
  type RecordProof,
  recordProofOf,
  RecordProofRefused,
  verifyRecordProof,
} from './tlog-proof.js';
export { keyId, parseVkey, type VerifierKey, VerifierKeyRefused, vkey } from './verifier-key.js';
export type { FailedReport, VerificationFailure, VerificationReport, VerifiedReport } from './verify/report.js';
export { verifyBundle, verifyLog, type VerifyOptions } from './verify-bundle.js';
export { verifyConsistency, verifyInclusion } from './verify-proofs.js';
export { type BundleEntry, type BundleSource, writeBundle } from './write-bundle.js';
