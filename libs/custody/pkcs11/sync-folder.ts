import { open } from 'node:fs/promises';

/** Resolves when the disk holds a folder's names: that of a new file, or of a renamed one. */
export async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
