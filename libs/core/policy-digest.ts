import { createHash } from 'node:crypto';
import type { PolicyDocument } from '#contract';
import { canonicalJson } from './canonical-json.js';

/** SHA-256 of the canonical document, hex: what a record names. */
export const policyDigest = (document: PolicyDocument): string => createHash('sha256').update(canonicalJson(document)).digest('hex');
