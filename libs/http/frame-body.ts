import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { FRAMED, splitFrame } from '#contract';
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
  if (!isFramed(operation) || batch) throw new KeywardError('unsupported-media-type', 'Send application/json.');
  const frame = await received(payload, bodyLimit);
  try {
    const parts = splitFrame(frame);
    if (parts === undefined) throw notAFrame();
    const value = await readJson(request, parts.json.toString('utf8'));
    const field = FRAMED[operation].request;
    if (typeof value !== 'object' || value === null || (field !== undefined && Object.hasOwn(value, field))) throw notAFrame();
    if (field === undefined && parts.bytes.length > 0) throw notAFrame();
    return field === undefined ? value : { ...value, [field]: Buffer.from(parts.bytes) };
  } finally {
    frame.fill(0);
  }
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

const notAFrame = () =>
  new InvalidRequest([
    { field: 'body', message: 'must be a frame: u32 length, so many bytes of a JSON object, and the bytes that it leaves out' },
  ]);
