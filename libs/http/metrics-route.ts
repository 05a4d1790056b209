import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { sendProblem } from './problem.js';
import { unauthenticated } from './unauthenticated.js';
import './request.js';

/** What a process tells of itself. */
export interface MetricsSource {
  /** What a scrape presents as bearer. */
  readonly token: Uint8Array;
  /** Text exposition format. */
  text(): Promise<string>;
  answered(operation: string | undefined, status: number, seconds: number): void;
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();

/** `GET /metrics`, for whoever has the token and nobody else: how much is asked is nobody's business. Every answer is counted. */
export function serveMetrics(instance: FastifyInstance, source: MetricsSource): void {
  const wanted = digest(Buffer.concat([Buffer.from('Bearer '), source.token]));
  instance.addHook('onResponse', (request, reply, done) => {
    source.answered(request.routeOptions.config.operation, reply.statusCode, reply.elapsedTime / 1000);
    done();
  });
  instance.get('/metrics', { config: { public: 'it has a token of its own' } }, async (request, reply) => {
    const presented = digest(Buffer.from(request.headers.authorization ?? ''));
    if (!timingSafeEqual(presented, wanted)) return sendProblem(reply, unauthenticated('no metrics token'));
    return reply.header('content-type', 'text/plain; version=0.0.4; charset=utf-8').send(await source.text());
  });
}
