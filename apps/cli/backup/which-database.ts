import { defaultDataDir, loadBackupConfig, loadConfig, withEmbeddedDatabase } from '#runtime';

export interface WhichPlatform {
  readonly dataDir?: string;
}

/** The embedded platform's folder. */
export const dataDirOf = ({ dataDir }: WhichPlatform): string => dataDir ?? loadConfig('cli').dataDir ?? defaultDataDir();

/** With a superuser's URL of the database of KEYWARD_SUPERUSER_URL, else of the embedded one. */
export async function withDatabase<Answer>(which: WhichPlatform, work: (superuserUrl: string) => Promise<Answer>): Promise<Answer> {
  const { superuserUrl } = loadBackupConfig();
  return superuserUrl === undefined ? await withEmbeddedDatabase(dataDirOf(which), work) : await work(superuserUrl);
}
