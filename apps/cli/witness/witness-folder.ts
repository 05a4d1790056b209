import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseWitnessKey, witnessKey } from '#trail';
import { UsageError } from '../exit-codes.js';
import { refuseOpenFile } from '../credentials-file.js';
import type { WitnessIdentity } from './witness.js';

const KEY_FILE = 'witness-key.pem';
const VKEY_FILE = 'witness.vkey';
const LOCK_FILE = 'lock';

/** Makes a witness's key (Ed25519, 0600) in a folder of its own; answers its verifier key. @throws UsageError, VerifierKeyRefused */
export function createWitness(folder: string, name: string): string {
  if (existsSync(join(folder, KEY_FILE))) throw new UsageError(`${folder} holds a witness already.`);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const vkey = witnessKey(name, rawKey(publicKey));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, KEY_FILE), privateKey.export({ type: 'pkcs8', format: 'pem' }), { flag: 'wx', mode: 0o600 });
  writeFileSync(join(folder, VKEY_FILE), `${vkey}\n`, { flag: 'wx', mode: 0o644 });
  return vkey;
}

/** @throws UsageError when there is none, or its key may be read by others */
export function openWitness(folder: string): WitnessIdentity & { readonly vkey: string } {
  const keyFile = join(folder, KEY_FILE);
  refuseOpenFile(keyFile);
  const privateKey = createPrivateKey(readFileSync(keyFile));
  const vkey = readFileSync(join(folder, VKEY_FILE), 'utf8').trim();
  const { name, publicKey } = parseWitnessKey(vkey);
  if (Buffer.compare(rawKey(createPublicKey(privateKey)), publicKey) !== 0)
    throw new UsageError(`${folder} holds a key and another's ${VKEY_FILE}.`);
  return { name, publicKey, privateKey, vkey };
}

/** Two witnesses on one folder could cosign two histories. Answers what gives it free. @throws UsageError while another process has it */
export function claim(folder: string): () => void {
  const file = join(folder, LOCK_FILE);
  if (existsSync(file) && !isRunning(Number(readFileSync(file, 'utf8')))) rmSync(file, { force: true });
  try {
    const handle = openSync(file, 'wx', 0o600);
    writeSync(handle, String(process.pid));
    closeSync(handle);
  } catch (cause) {
    throw new UsageError(`Another witness runs on ${folder}. If none does, remove ${file}.`, { cause });
  }
  return () => rmSync(file, { force: true });
}

/** A number of our own is left from before: in a container every process may be number 1. */
function isRunning(pid: number): boolean {
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

const rawKey = (key: ReturnType<typeof createPublicKey>): Uint8Array => key.export({ format: 'der', type: 'spki' }).subarray(-32);
