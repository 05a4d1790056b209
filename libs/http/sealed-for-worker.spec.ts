import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SinkId, TenantId } from '#contract';
import type { SinkOpening, SinkSealing } from '#core';
import { readOpening, readSealing } from './sealed-for-worker.js';

const [ACME, GLOBEX] = ['acme', 'globex'] as TenantId[] as [TenantId, TenantId];
const [SINK, OTHER] = ['sink_01jdsz0000e008000000000001', 'sink_01jdsz0000e008000000000002'] as SinkId[] as [SinkId, SinkId];
const PLAIN = Buffer.from('what a bucket asks for');

describe('what is sealed for the worker', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kw-sealing-'));
  const file = (name: string, text: string | Buffer) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  let sealing: SinkSealing;
  let opening: SinkOpening;

  beforeAll(async () => {
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    sealing = await readSealing(file('public', publicKey.export({ type: 'spki', format: 'pem' })));
    opening = await readOpening(file('private', privateKey.export({ type: 'pkcs8', format: 'pem' })));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('opens there, and shows nothing of itself', async () => {
    const sealed = await sealing.seal(ACME, SINK, PLAIN);
    expect(Buffer.from(await opening.open(ACME, SINK, sealed))).toEqual(PLAIN);
    const parts = sealed.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'));
    expect(parts.join()).not.toContain(PLAIN.toString());
    expect(await sealing.seal(ACME, SINK, PLAIN)).not.toBe(sealed);
  });

  it.each([
    ["as another tenant's", GLOBEX, SINK],
    ["as another sink's", ACME, OTHER],
  ])('does not open %s', async (_, tenant, sink) => {
    await expect(opening.open(tenant, sink, await sealing.seal(ACME, SINK, PLAIN))).rejects.toThrow('sealed for another sink');
  });

  it('does not open with another header, another key or a flipped bit', async () => {
    const sealed = await sealing.seal(ACME, SINK, PLAIN);
    const [header = '', ...rest] = sealed.split('.');
    const renamed = Buffer.from(Buffer.from(header, 'base64url').toString().replace('acme', 'evil')).toString('base64url');
    await expect(opening.open('evil' as TenantId, SINK, [renamed, ...rest].join('.'))).rejects.toThrow();
    const flipped = `${sealed.slice(0, -2)}${sealed.at(-2) === 'A' ? 'B' : 'A'}${sealed.at(-1)}`;
    await expect(opening.open(ACME, SINK, flipped)).rejects.toThrow();
    const { privateKey } = generateKeyPairSync('x25519');
    const stranger = await readOpening(file('stranger', privateKey.export({ type: 'pkcs8', format: 'pem' })));
    await expect(stranger.open(ACME, SINK, sealed)).rejects.toThrow();
  });
});
