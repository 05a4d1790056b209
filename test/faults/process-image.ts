import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Needles } from './needles.js';

/** As /proc writes a region of memory: `start-end rw-p …`. */
const REGION = /^([0-9a-f]+)-([0-9a-f]+) (rw.p) .*$/gm;
const PIECE = 16 * 1024 * 1024;
/** Longer than every needle: one may lie across two pieces. */
const OVERLAP = 128;

/** Whether any of the needles stands in the writable memory of a process (Linux). Also says how much was read before it was known. */
export function scanImage(pid: number, needles: Needles): { readonly found: boolean; readonly bytes: number } {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const piece = Buffer.alloc(PIECE);
  let bytes = 0;
  try {
    for (const [, start = '', end = ''] of readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(REGION)) {
      const to = BigInt(`0x${end}`);
      for (let at = BigInt(`0x${start}`); at < to; at += BigInt(PIECE - OVERLAP)) {
        const length = readAt(memory, piece, at, Number(to - at));
        bytes += length;
        if (needles.foundIn(piece.subarray(0, length))) return { found: true, bytes };
      }
    }
    return { found: false, bytes };
  } finally {
    closeSync(memory);
    piece.fill(0);
  }
}

/** Regions come and go while they are read. */
function readAt(memory: number, piece: Buffer, at: bigint, left: number): number {
  try {
    return readSync(memory, piece, 0, Math.min(PIECE, left), at);
  } catch {
    return 0;
  }
}
