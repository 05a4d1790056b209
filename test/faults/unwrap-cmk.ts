/**
 * What whoever has the PIN and a row could do (docs/threat-model.md): unwraps CMK versions into readable objects, in a process of its own,
 * so that the leak scan knows the bytes that it must not find. Reads `[{tenant, level, blob}]` (base64) as JSON from stdin and writes the
 * keys' bytes, base64, one a line. Of a key in software the root unwraps the sealing key, and that one opens the rest of the blob.
 */
import { createDecipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pkcs11js from 'pkcs11js';

const { KEYWARD_HSM_MODULE: modulePath, KEYWARD_HSM_PIN_FILE: pinFile } = process.env;
const rows = JSON.parse(readFileSync(0, 'utf8')) as { tenant: string; level: string; blob: string }[];
const SEALING_KEY_BYTES = 40;

const p11 = new pkcs11js.PKCS11();
p11.load(modulePath!);
p11.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK });
const slot = p11.C_GetSlotList(true)[0]!;
const session = p11.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
p11.C_Login(session, pkcs11js.CKU_USER, readFileSync(pinFile!, 'utf8').trim());
for (const { tenant, level, blob: text } of rows) {
  const blob = Buffer.from(text, 'base64');
  const wrapped = level === 'SOFTWARE' ? blob.subarray(0, SEALING_KEY_BYTES) : blob;
  p11.C_FindObjectsInit(session, [{ type: pkcs11js.CKA_LABEL, value: `keyward/root/${tenant}` }]);
  const root = p11.C_FindObjects(session)!;
  p11.C_FindObjectsFinal(session);
  const key = p11.C_UnwrapKey(session, { mechanism: pkcs11js.CKM_AES_KEY_WRAP }, root, wrapped, [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
    { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
    { type: pkcs11js.CKA_TOKEN, value: false },
    { type: pkcs11js.CKA_PRIVATE, value: true },
    { type: pkcs11js.CKA_SENSITIVE, value: false },
    { type: pkcs11js.CKA_EXTRACTABLE, value: true },
  ]);
  const [value] = p11.C_GetAttributeValue(session, key, [{ type: pkcs11js.CKA_VALUE }]);
  const unwrapped = Buffer.from(value!.value);
  const material = level === 'SOFTWARE' ? opened(unwrapped, blob.subarray(SEALING_KEY_BYTES)) : unwrapped;
  process.stdout.write(`${material.toString('base64')}\n`);
}
p11.C_Finalize();

/** IV ‖ AES-256-GCM */
function opened(key: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12)).setAAD(Buffer.from('keyward.software-key/1'));
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
}
