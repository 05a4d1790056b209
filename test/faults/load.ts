import { Agent, request } from 'node:http';

/** What one call became: `sentAt`/`endedAt` from the client's monotonic clock, milliseconds. */
export interface Outcome {
  readonly sentAt: number;
  readonly endedAt: number;
  /** 0: no answer at all. */
  readonly status: number;
  readonly requestId: string | undefined;
  readonly body: Buffer;
}

export interface Load {
  readonly outcomes: Outcome[];
  inFlight(): number;
  stop(): Promise<void>;
}

const BODY = JSON.stringify({ keyId: 'alias/invoices', encryptionContext: { purpose: 'invoice' } });

/** `clients` callers that ask for a data key again and again, in turn from each of the planes, until they are told to stop. */
export function startLoad(
  planes: readonly string[],
  apiKey: string,
  clients: number,
  keep: (outcome: Outcome) => boolean = () => true,
): Load {
  const outcomes: Outcome[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: clients * 2 });
  let running = true;
  let inFlight = 0;
  const callers = Array.from({ length: clients }, async (_, caller) => {
    for (let turn = caller; running; turn++) {
      inFlight++;
      const outcome = await call(agent, planes[turn % planes.length]!, apiKey);
      inFlight--;
      if (keep(outcome)) outcomes.push(outcome);
      if (outcome.status === 0 || outcome.status === 503) await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  return {
    outcomes,
    inFlight: () => inFlight,
    stop: async () => {
      running = false;
      await Promise.all(callers);
      agent.destroy();
    },
  };
}

function call(agent: Agent, plane: string, apiKey: string): Promise<Outcome> {
  const sentAt = performance.now();
  return new Promise((resolve) => {
    const end = (status: number, requestId?: string, body = Buffer.alloc(0)) =>
      resolve({ sentAt, endedAt: performance.now(), status, requestId, body });
    const sent = request(
      `${plane}/v1/tenants/acme/data-keys`,
      {
        method: 'POST',
        agent,
        timeout: 10_000,
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', 'content-length': BODY.length },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', () => end(0));
        response.on('end', () =>
          response.complete ? end(response.statusCode ?? 0, String(response.headers['x-request-id']), Buffer.concat(chunks)) : end(0),
        );
        response.on('aborted', () => end(0));
      },
    );
    sent.on('timeout', () => sent.destroy());
    sent.on('error', () => end(0));
    sent.end(BODY);
  });
}
