import { FakePlane, KEYS } from './test/fake-plane.js';

const URL = '/v1/tenants/acme/encrypt';
const BODY = { keyId: 'alias/invoices', plaintext: 'AA==' };

/** The guard of every route stands before the hot ones too; with and without Nest's layer a caller sees no difference. */
describe.each([
  ['served directly', {}],
  ['served by Nest', { uses: undefined }],
])('a data route, %s', (_, options) => {
  let plane: FakePlane;
  beforeAll(async () => {
    plane = await FakePlane.start(options as never);
  });
  afterAll(() => plane.fastify.close());
  const post = (headers: Record<string, string>, payload: string) =>
    plane.fastify.inject({ method: 'POST', url: URL, headers: { 'content-type': 'application/json', ...headers }, payload });

  it('answers 401 before the body is parsed', async () => {
    const answer = await post({}, '{ not json');
    expect(answer.statusCode).toBe(401);
    expect(plane.pipeline.ran).toHaveLength(0);
  });

  it('refuses what its schema refuses, and has it recorded', async () => {
    const answer = await post({ authorization: `Bearer ${KEYS.service}` }, JSON.stringify({ ...BODY, plaintext: '!' }));
    expect(answer.json()).toMatchObject({ status: 400, errors: [{ field: 'plaintext' }] });
    expect(answer.headers['keyward-record']).toBe('42');
  });

  it('runs its operation with the call and the parsed body', async () => {
    await post({ authorization: `Bearer ${KEYS.service}` }, JSON.stringify(BODY));
    expect(plane.pipeline.ran.at(-1)).toMatchObject({ operation: 'Encrypt', call: { tenant: 'acme' }, input: { keyId: 'alias/invoices' } });
  });
});
