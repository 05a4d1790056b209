/**
 * A file of the custodian's own holds what it never wrote. Starting again would not mend it, and starting without it would forget what was
 * signed or destroyed: somebody has to look.
 */
export class CorruptFile extends Error {
  constructor(path: string, cause: unknown) {
    super(`${path} holds what the custodian never wrote; put back a whole copy of it.`, { cause });
  }
}

/** What is read of the file. @throws CorruptFile whatever `read` throws, which never reads the disk itself */
export function whole<Content>(path: string, read: () => Content): Content {
  try {
    return read();
  } catch (cause) {
    throw new CorruptFile(path, cause);
  }
}
