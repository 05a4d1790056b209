/** Every way in which bytes are commonly written down. Base64 of a run inside other bytes has three alignments. */
export function forms(secret: Buffer): Buffer[] {
  const inner = (offset: number) => Buffer.concat([Buffer.alloc(offset), secret]).toString('base64');
  const base64 = [inner(0).slice(0, 40), inner(1).slice(2, 42), inner(2).slice(3, 43)];
  const hex = secret.toString('hex');
  const texts = [hex, hex.toUpperCase(), ...base64, ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))];
  return [secret, ...texts.map((text) => Buffer.from(text))];
}
