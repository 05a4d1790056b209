import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { Controller, HttpCode, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SERVER_OPTIONS } from '../../libs/http/server-options.js';

/**
 * What everything is compared with: Nest on Fastify with the planes' server settings and one route that
 * does nothing, as a process of its own. Prints its port.
 */
@Controller()
class EmptyController {
  @Post('empty')
  @HttpCode(200)
  empty() {
    return { done: true };
  }
}

@Module({ controllers: [EmptyController] })
class EmptyModule {}

const app = await NestFactory.create<NestFastifyApplication>(EmptyModule, new FastifyAdapter({ ...SERVER_OPTIONS }), { logger: false });
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address() as AddressInfo;
process.stdout.write(`${port}\n`);
process.on('SIGTERM', () => process.exit(0));
