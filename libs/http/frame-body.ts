import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { FRAMED, splitFrame, splitItems } from '#contract';
import { InvalidRequest, KeywardError } from '#core';
import './request.js';

/** JSON as a plane reads it. @throws what Fastify's parser throws, and InvalidRequest for an object that names one member twice */
export type ReadJson = (request: FastifyRequest, text: string) => Promise<unknown>;

/** The operations whose routes take frames. */
export type FramedOperation = keyof typeof FRAMED;
export const isFramed = (operation: string | null | undefined): operation is FramedOperation =>
  typeof operation === 'string' && Object.hasOwn(FRAMED, operation);

/** A frame's JSON with its bytes in their field; whoever uses the bytes wipes them. They are nowhere else: what was received is wiped here. */
export async function readFrame(request: FastifyRequest, payload: IncomingMessage, readJson: ReadJson): Promise<unknown> {
  const { config, bodyLimit } = request.routeOptions;
  const { operation, batch } = config;
  if (!isFramed(operation)) throw new KeywardError('unsupported-media-type', 'Send application/json.');
  const frame = await received(payload, bodyLimit);
  try {
    const parts = splitFrame(frame);
    if (parts === undefined) throw notAFrame();
    const value = await readJson(request, parts.json.toString('utf8'));
    const { request: field } = FRAMED[operation];
    if (field === undefined) {
      if (parts.bytes.length > 0) throw notAFrame();
      return value;
    }
    const bytes = Buffer.from(parts.bytes);
    try {
      return batch ? batchWith(value, field, bytes) : objectWith(value, field, bytes);
    } catch (error) {
      bytes.fill(0);
      throw error;
    }
  } finally {
    frame.fill(0);
  }
}

/** @throws InvalidRequest for what is no object, or has the field already */
function objectWith(value: unknown, field: string, bytes: Buffer): object {
  if (typeof value !== 'object' || value === null || Object.hasOwn(value, field)) throw notAFrame();
  return { ...value, [field]: bytes };
}

/** @throws InvalidRequest for what are not the bytes of so many items */
function batchWith(value: unknown, field: string, bytes: Buffer): object {
  if (typeof value !== 'object' || value === null || !('items' in value) || !Array.isArray(value.items)) throw notABatch();
  const items: unknown[] = value.items;
  const each = splitItems(bytes, items.length);
  if (each === undefined) throw notABatch();
  return { ...value, items: items.map((item, index) => objectWith(item, field, each[index]!)) };
}

/** The bytes of what was read here, in one or in the items of many. Without recursion: other bodies come here too, as deep as they are long. */
export function framedBytes(body: unknown): Buffer[] {
  const items: unknown[] = typeof body === 'object' && body !== null && 'items' in body && Array.isArray(body.items) ? body.items : [];
  const buffers: Buffer[] = [];
  for (const value of [body, ...items])
    if (typeof value === 'object' && value !== null)
      for (const member of Object.values(value) as unknown[]) if (Buffer.isBuffer(member)) buffers.push(member);
  return buffers;
}

/** @throws KeywardError `payload-too-large` */
async function received(payload: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of payload as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > limit) throw new KeywardError('payload-too-large');
    }
    return Buffer.concat(chunks);
  } finally {
    // They are views of what the socket read.
    for (const chunk of chunks) chunk.fill(0);
  }
}

const notABatch = () =>
  new InvalidRequest([
    { field: 'body', message: 'must be a frame: u32 length, so many bytes of JSON with `items`, and of each of them u32 length and bytes' },
  ]);

const notAFrame = () =>
  new InvalidRequest([
    { field: 'body', message: 'must be a frame: u32 length, so many bytes of a JSON object, and the bytes that it leaves out' },
  ]);
