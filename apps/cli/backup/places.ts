import { join } from 'node:path';

/** Where the files stand that the database does not have. The HSM's PIN is not among them: it is in no archive. */
export interface Places {
  /** Folder of SoftHSM's tokens; undefined where the HSM has a backup of its own. */
  readonly token: string | undefined;
  /** Folder of the custodian's memory. */
  readonly state: string;
  /** Keys the digests of API keys. */
  readonly pepper: string;
  /** Opens what is sealed for the worker. */
  readonly workerKey: string;
}

/** Those of the embedded platform. */
export const placesIn = (dataDir: string): Places => ({
  token: join(dataDir, 'hsm', 'tokens'),
  state: join(dataDir, 'custodian'),
  pepper: join(dataDir, 'pepper'),
  workerKey: join(dataDir, 'worker-key'),
});
