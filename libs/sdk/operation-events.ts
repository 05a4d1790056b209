import type { IncomingMessage } from 'node:http';
import { isOver, type LongOperation, longOperation } from '#contract';
import { errorOf } from './errors.js';

const DATA = /^data: (.*)$/;

/** The operation, each time it has moved, until it is over. The stream ends now and then: `open` begins another one. */
export async function* operationEvents(open: () => Promise<IncomingMessage>): AsyncGenerator<LongOperation> {
  for (;;) {
    for await (const line of linesOf(await open())) {
      const text = DATA.exec(line)?.[1];
      if (text === undefined) continue;
      const operation = operationOf(text);
      yield operation;
      if (isOver(operation.state)) return;
    }
  }
}

async function* linesOf(stream: IncomingMessage): AsyncGenerator<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (text + chunk).split('\n');
    text = lines.pop() ?? '';
    yield* lines;
  }
}

function operationOf(text: string): LongOperation {
  try {
    return longOperation.parse(JSON.parse(text));
  } catch (cause) {
    throw errorOf('The event is not what this stream tells.', { code: 'bad-answer', cause });
  }
}
