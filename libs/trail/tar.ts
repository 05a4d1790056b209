import type { ByteReader } from './byte-reader.js';
import { concat, equalBytes, utf8 } from './octets.js';

export interface TarFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

const BLOCK = 512;
/** Over the largest entry tile (256 × 65,537 bytes): a hostile archive must not fill memory. */
const MAX_FILE_BYTES = 17 * 1024 * 1024;

/** One file of an archive (POSIX ustar): header, bytes, padding. `path` is ASCII, at most 100 characters. */
export function tarFile({ path, bytes }: TarFile): Uint8Array {
  return concat(tarHeader(path, bytes.length), bytes, new Uint8Array(paddingOf(bytes.length)));
}

/** What ends an archive. */
export const tarEnd = (): Uint8Array => new Uint8Array(2 * BLOCK);

/**
 * The files of an archive that `tarFile` and `tarEnd` made, in their order. No other kind of entry, owner, mode or time is taken:
 * two readers must never see different files in one bundle. @throws RangeError
 */
export async function* readTar(reader: ByteReader): AsyncGenerator<TarFile> {
  for (let header = await block(reader); !isZero(header); header = await block(reader)) {
    const path = fieldOf(header, 0, 100);
    const size = Number.parseInt(fieldOf(header, 124, 12), 8);
    if (!(size <= MAX_FILE_BYTES) || !equalBytes(header, tarHeader(path, size)))
      throw new RangeError('A header of the archive is not as it should be.');
    const bytes = await reader.take(size);
    const padding = await reader.take(paddingOf(size));
    if (bytes === undefined || padding === undefined) throw new RangeError('The archive ends too early.');
    if (!isZero(padding)) throw new RangeError('There are bytes between the files of the archive.');
    yield { path, bytes };
  }
  if (!isZero(await block(reader)) || (await reader.take(1)) !== undefined) throw new RangeError('The archive does not end as it should.');
}

async function block(reader: ByteReader): Promise<Uint8Array> {
  const header = await reader.take(BLOCK);
  if (header === undefined) throw new RangeError('The archive ends too early.');
  return header;
}

function tarHeader(path: string, size: number): Uint8Array {
  if (!/^[\x21-\x7e]{1,99}$/.test(path)) throw new RangeError('A path has 1 to 99 ASCII characters.');
  const header = new Uint8Array(BLOCK);
  const put = (at: number, text: string) => header.set(utf8(text), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  put(0, path);
  put(100, octal(0o644, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(size, 11));
  put(136, octal(0, 11));
  put(156, '0');
  put(257, 'ustar\x0000');
  put(148, ' '.repeat(8));
  put(
    148,
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
  );
  return header;
}

/** Up to its NUL; whether it is spelt right shows when the header is composed again. */
function fieldOf(header: Uint8Array, at: number, length: number): string {
  const text = String.fromCharCode(...header.subarray(at, at + length));
  return text.slice(0, text.indexOf('\0'));
}

const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);
const paddingOf = (size: number) => (BLOCK - (size % BLOCK)) % BLOCK;
