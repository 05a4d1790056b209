import { Agent, request } from 'node:http';

/** One call of many. Read anew before each, so that a load may go on with another credential. */
export interface CallShape {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly apiKey: string;
}

/** What one call became: `sentAt`/`endedAt` from the client's monotonic clock, milliseconds. */
export interface Outcome {
  readonly sentAt: number;
  readonly endedAt: number;
  /** 0: no answer at all. */
  readonly status: number;
  readonly requestId: string | undefined;
  /** The record's place in its log, if the answer names one. */
  readonly seq: number | undefined;
  readonly body: Buffer;
  /** Which of the planes was asked: its place in the list. */
  readonly plane: number;
}

export interface Callers {
  /** Of one plane, or of all. */
  inFlight(plane?: number): number;
  stop(): Promise<void>;
}

export interface Load extends Callers {
  readonly outcomes: Outcome[];
}

interface CallersOptions {
  readonly planes: readonly string[];
  readonly clients: number;
  readonly call: () => CallShape;
  readonly onEnd: (outcome: Outcome) => void;
  /** Each caller asks the planes in turn; otherwise each stays with one, so that a plane that stands still holds only its own. */
  readonly inTurn?: boolean;
}

/** `clients` callers that make the same call again and again until they are told to stop. */
export function startCallers({ planes, clients, call, onEnd, inTurn = false }: CallersOptions): Callers {
  const agent = new Agent({ keepAlive: true, maxSockets: clients * 2 });
  const inFlight = planes.map(() => 0);
  let running = true;
  const callers = Array.from({ length: clients }, async (_, caller) => {
    for (let turn = caller; running; turn++) {
      const plane = (inTurn ? turn : caller) % planes.length;
      inFlight[plane]!++;
      const outcome = await send(agent, planes[plane]!, call(), plane);
      inFlight[plane]!--;
      onEnd(outcome);
      if (outcome.status === 0 || outcome.status === 503) await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  return {
    inFlight: (plane) => (plane === undefined ? inFlight.reduce((sum, n) => sum + n, 0) : inFlight[plane]!),
    stop: async () => {
      running = false;
      await Promise.all(callers);
      agent.destroy();
    },
  };
}

const BODY = JSON.stringify({ keyId: 'alias/invoices', encryptionContext: { purpose: 'invoice' } });
const DATA_KEYS = '/v1/tenants/acme/data-keys';

/** `clients` callers that ask for a data key again and again, in turn from each of the planes; what they got is kept. */
export function startLoad(planes: readonly string[], apiKey: string, clients: number): Load {
  const outcomes: Outcome[] = [];
  const call = () => ({ method: 'POST', path: DATA_KEYS, body: BODY, apiKey });
  return { outcomes, ...startCallers({ planes, clients, call, onEnd: (outcome) => outcomes.push(outcome), inTurn: true }) };
}

function send(agent: Agent, base: string, { method, path, body, apiKey }: CallShape, plane: number): Promise<Outcome> {
  const sentAt = performance.now();
  return new Promise((resolve) => {
    const end = (status: number, requestId?: string, seq?: number, answer = Buffer.alloc(0)) =>
      resolve({ sentAt, endedAt: performance.now(), status, requestId, seq, body: answer, plane });
    const sent = request(
      `${base}${path}`,
      {
        method,
        agent,
        timeout: 10_000,
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', () => end(0));
        response.on('end', () => {
          if (!response.complete) return end(0);
          const record = response.headers['keyward-record'];
          const seq = record === undefined ? undefined : Number(record);
          end(response.statusCode ?? 0, String(response.headers['x-request-id']), seq, Buffer.concat(chunks));
        });
        response.on('aborted', () => end(0));
      },
    );
    sent.on('timeout', () => sent.destroy());
    sent.on('error', () => end(0));
    sent.end(body);
  });
}
