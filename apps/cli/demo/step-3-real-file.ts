import { createReadStream, createWriteStream, statSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Envelope } from '#sdk';
import { type Cast, INVOICES, PURPOSE, type Stage } from './cast.js';
import { recordOf, same } from './expectation.js';
import { megabytes, narrate, rate } from './narrate.js';
import { sha256Of } from './sample-file.js';

const IBAN = 'DE02 1001 0010 0006 8201 51';

/** Envelope encryption of a whole file, and direct encryption of a field. Answers the field's ciphertext, for tampering with. */
export async function realFile({ file }: Stage, { billing, auditor }: Cast, sample: string): Promise<Uint8Array> {
  narrate.step(3, 'The ISV encrypts a real file, and a small field');
  const [sealed, opened] = [file('sample.kw'), file('sample.opened')];
  const envelope = new Envelope(billing);
  try {
    const sealMs = await through(sample, envelope.encryptStream({ tenant: 'acme', keyId: INVOICES, context: PURPOSE }), sealed);
    const openMs = await through(sealed, envelope.decryptStream({ tenant: 'acme', expectedContext: PURPOSE }), opened);
    const [bytes, sealedBytes] = [statSync(sample).size, statSync(sealed).size];
    narrate.line(`${sample}: ${megabytes(bytes)}`);
    narrate.line(
      `encrypted under one data key in ${rate(bytes, sealMs)}, to ${megabytes(sealedBytes)}; decrypted in ${rate(bytes, openMs)}`,
    );
    const [before, after] = [await sha256Of(sample), await sha256Of(opened)];
    same('SHA-256 of the decrypted file', after, before);
    narrate.checked(`SHA-256 before and after: ${before}`);
  } finally {
    envelope.close();
  }
  return await smallField({ billing, auditor });
}

async function through(from: string, conversion: Duplex, to: string): Promise<number> {
  const started = performance.now();
  await pipeline(createReadStream(from, { highWaterMark: 1 << 20 }), conversion, createWriteStream(to, { mode: 0o600 }));
  return performance.now() - started;
}

async function smallField({ billing, auditor }: Pick<Cast, 'billing' | 'auditor'>): Promise<Uint8Array> {
  const sealed = await billing.encrypt({ tenant: 'acme', keyId: INVOICES, plaintext: Buffer.from(IBAN), context: PURPOSE });
  const opened = await billing.decrypt({ tenant: 'acme', ciphertext: sealed.ciphertext, context: PURPOSE });
  same('the decrypted field', Buffer.from(opened.plaintext).toString(), IBAN);
  narrate.line(`the field "${IBAN}" became ${sealed.ciphertext.length} bytes under ${sealed.keyVersionId}, inside the HSM, and came back`);
  const record = await recordOf(auditor, opened.requestId);
  same('the rule in its record', record.authz?.ruleId ?? 'none', 'billing-invoices');
  narrate.checked(
    `record ${record.seq} (${record.op}, ${record.outcome}) names the rule that allowed it: billing-invoices, policy version ${record.authz?.policyVersion}`,
  );
  return sealed.ciphertext;
}
