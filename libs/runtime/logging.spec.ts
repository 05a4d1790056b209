import { createLogger, describeError } from './logging.js';

function logged(write: (logger: ReturnType<typeof createLogger>) => void): string {
  const lines: string[] = [];
  write(createLogger('test', { sink: { write: (line) => lines.push(line) } }));
  return lines.join('');
}

describe('the logger', () => {
  it('writes one JSON object per line with a readable level and time', () => {
    const line: unknown = JSON.parse(logged((log) => log.info({ tenant: 'acme' }, 'ready')));
    expect(line).toMatchObject({ level: 'info', name: 'test', tenant: 'acme', msg: 'ready', time: expect.stringMatching(/^\d{4}-/) });
  });

  it('redacts secrets at the top and one level down', () => {
    const text = logged((log) => log.info({ apiKey: 'canary-1', request: { authorization: 'canary-2', plaintext: 'canary-3' } }, 'x'));
    expect(text).not.toContain('canary');
    expect(text).toContain('[redacted]');
  });

  it('tells only the code of a database error: its detail holds row values', () => {
    const error = Object.assign(new Error('duplicate key (canary)'), { code: '23505', severity: 'ERROR', detail: 'Key (x)=(canary)' });
    const text = logged((log) => log.error({ err: error }, 'append failed'));
    expect(text).toContain('23505');
    expect(text).not.toContain('canary');
  });

  it('follows causes with the same care', () => {
    const driver = Object.assign(new Error('canary'), { code: '57P01', routine: 'ProcessInterrupts' });
    expect(describeError(new Error('The trail is down.', { cause: driver }))).toMatchObject({
      message: 'The trail is down.',
      cause: { type: 'Error', code: '57P01' },
    });
    expect(JSON.stringify(describeError(new Error('x', { cause: driver })))).not.toContain('canary');
  });

  it('says nothing of a thrown value that is not an error', () => {
    expect(describeError('canary')).toEqual({ type: 'string' });
  });
});
