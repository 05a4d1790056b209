import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Bundle, type FetchTile, tiledLog, type VerificationReport, verifyLog, type VerifyOptions } from '#trail';

/**
 * Copies a log into a folder as C2SP tlog-tiles and verifies the copy as a whole, as a continuation of what was copied the last time.
 * Only tiles that are not there yet are fetched; of a log that does not stand nothing is kept. The copy's `checkpoint` is written last.
 */
export async function mirror(
  folder: string,
  head: Omit<Bundle, 'tiles'>,
  fetchTile: FetchTile,
  options: Pick<VerifyOptions, 'vkey' | 'sha256' | 'latin1'>,
): Promise<VerificationReport> {
  const last = bytesIn(join(folder, 'checkpoint'))?.toString();
  const fresh: string[] = [];
  const kept: FetchTile = async (path) => {
    const file = join(folder, path);
    const copied = bytesIn(file);
    if (copied !== undefined) return copied;
    const bytes = await fetchTile(path);
    if (bytes !== undefined) {
      keep(file, bytes);
      fresh.push(file);
    }
    return bytes;
  };
  const report = await verifyLog(async () => tiledLog(head, kept), { ...options, since: last });
  if (report.status === 'verified') keep(join(folder, 'checkpoint'), Buffer.from(head.checkpoint));
  else for (const file of fresh) rmSync(file);
  return report;
}

function keep(file: string, bytes: Uint8Array): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, bytes, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}

const bytesIn = (file: string): Buffer | undefined => (existsSync(file) ? readFileSync(file) : undefined);
