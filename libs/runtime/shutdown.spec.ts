import { createLogger } from './logging.js';
import { drainOnSignal } from './shutdown.js';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

describe('the shutdown', () => {
  const lines: string[] = [];
  const logger = createLogger('test', { sink: { write: (line) => lines.push(line) } });
  const exit = jest.spyOn(process, 'exit').mockImplementation((() => undefined) as never);
  const before = SIGNALS.map((signal) => [signal, process.listeners(signal)] as const);

  afterEach(() => {
    exit.mockClear();
    for (const [signal, listeners] of before)
      for (const added of process.listeners(signal)) if (!listeners.includes(added)) process.off(signal, added);
  });
  afterAll(() => exit.mockRestore());

  it('runs its steps one after the other, once, whatever the number of signals', async () => {
    const ran: string[] = [];
    const slow = () => new Promise<void>((resolve) => setTimeout(resolve, 20)).then(() => void ran.push('http'));
    const steps = [
      { name: 'http', run: slow },
      { name: 'database', run: () => void ran.push('database') },
    ];
    const drain = drainOnSignal({ logger, steps });
    process.emit('SIGTERM');
    process.emit('SIGINT');
    await drain();
    expect(ran).toEqual(['http', 'database']);
    expect(exit.mock.calls).toEqual([[0]]);
  });

  it('goes on when a step fails, and says which', async () => {
    let closed = false;
    const drain = drainOnSignal({
      logger,
      steps: [
        { name: 'http', run: () => Promise.reject(new Error('still busy')) },
        { name: 'database', run: () => void (closed = true) },
      ],
    });
    await drain();
    expect(closed).toBe(true);
    expect(lines.join('')).toContain('"step":"http"');
  });

  it('ends with 1 when draining takes too long', async () => {
    void drainOnSignal({ logger, steps: [{ name: 'http', run: () => new Promise(() => undefined) }], deadlineMs: 10 })();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(exit.mock.calls).toEqual([[1]]);
  });
});
