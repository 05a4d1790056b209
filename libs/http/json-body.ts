import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { FRAME_TYPE } from '#contract';
import { InvalidRequest } from '#core';
import { readFrame, type ReadJson } from './frame-body.js';

/**
 * JSON is what a plane reads, and frames where a route takes them. `__proto__` and `constructor.prototype` are refused
 * (secure-json-parse), and so is an object that names one member twice: JSON.parse would keep the last, another reader the first, and both
 * would believe to have bound it.
 */
export function acceptBodies(instance: FastifyInstance): void {
  const parse = instance.getDefaultJsonParser('error', 'error');
  const readJson: ReadJson = (request, text) =>
    new Promise((resolve, reject) => {
      void parse(request, text, (error, value: unknown) => {
        if (error) reject(error);
        else if (membersWritten(text) !== membersKept(value)) reject(twiceNamed());
        else resolve(value);
      });
    });
  instance.removeAllContentTypeParsers();
  instance.addContentTypeParser('application/json', { parseAs: 'string' }, (request: FastifyRequest, body: string | Buffer) =>
    readJson(request, String(body)),
  );
  instance.addContentTypeParser(FRAME_TYPE, (request: FastifyRequest, payload: IncomingMessage) => readFrame(request, payload, readJson));
}

const twiceNamed = () => new InvalidRequest([{ field: 'body', message: 'an object names one member twice' }]);

/** Members in the text of valid JSON: every colon outside a string belongs to one. */
export function membersWritten(json: string): number {
  let members = 0;
  for (let at = 0; at < json.length; at++) {
    const character = json.charCodeAt(at);
    if (character === COLON) members++;
    else if (character === QUOTE) at = endOfString(json, at);
  }
  return members;
}

const COLON = 0x3a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Strings are long (base64), so they are skipped by a native search for their end. */
function endOfString(json: string, start: number): number {
  let end = json.indexOf('"', start + 1);
  while (isEscaped(json, end)) end = json.indexOf('"', end + 1);
  return end;
}

function isEscaped(json: string, at: number): boolean {
  let before = at - 1;
  while (json.charCodeAt(before) === BACKSLASH) before--;
  return (at - before) % 2 === 0;
}

/** Members that survived parsing. Without recursion: a body may be as deep as it is long. */
export function membersKept(value: unknown): number {
  let members = 0;
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (Array.isArray(next)) for (const element of next) open.push(element);
    else if (typeof next === 'object' && next !== null) {
      const inner = Object.values(next);
      members += inner.length;
      for (const element of inner) if (typeof element === 'object') open.push(element);
    }
  }
  return members;
}
