import { api, must } from './api.js';
import { type Onboarded, type Tenant } from './onboarded.js';
import { type Kind, KIND_NAMES } from './route-places.js';

/** A cursor is of one list: it is fetched when that list is asked. */
export const NAMED = KIND_NAMES.filter((kind) => kind !== 'cursor');

/** What one tenant has of each kind, and what it had and has no more. */
export type Belongings = Readonly<Record<(typeof NAMED)[number], string>> & {
  readonly gone: Partial<Record<Kind, string>>;
  /** Keys of each other usage, and a version of each. */
  readonly others: Readonly<Record<Other, Named>>;
};

const OTHERS = { signing: 'EC_P256', mac: 'HMAC_256', sealing: 'RSA_2048' } as const;
type Other = keyof typeof OTHERS;
interface Named {
  readonly key: string;
  readonly keyVersion: string;
}

/** Which keys these operations take; all the rest takes keys that encrypt. */
export const USES: Readonly<Record<string, Other | undefined>> = {
  ...{ Sign: 'signing', Verify: 'signing', GetPublicKey: 'signing', DescribePublicKey: 'signing' },
  ...{ GenerateMac: 'mac', VerifyMac: 'mac' },
  ...{ AsymmetricEncrypt: 'sealing', AsymmetricDecrypt: 'sealing' },
};

/** Well-formed, and nobody's. */
export const GUESSED: Readonly<Record<Kind, string>> = {
  key: 'key_01jdsz0000e008000000000001',
  keyVersion: 'kver_01jdsz0000e008000000000001',
  alias: 'alias/nobodys',
  credential: 'crd_01jdsz0000e008000000000001',
  stop: 'stop_01jdsz0000e008000000000001',
  sink: 'sink_01jdsz0000e008000000000001',
  operation: 'op_01jdsz0000e008000000000001',
  secret: 'sec_01jdsz0000e008000000000001',
  importToken: 'imp_01jdsz0000e008000000000001',
  ciphertext: Buffer.from(`KW\x01\x01\x01${'\x00'.repeat(60)}`, 'latin1').toString('base64'),
  request: 'req_01jdsz0000e008000000000001',
  principal: 'nobody',
  cursor: 'bm9ib2R5cw',
};

/** Everything that a service may be granted, on every key: whatever is refused is refused for the tenant's sake. */
const EVERYTHING = {
  schema: 'keyward.policy/1',
  grants: [{ id: 'everything', subjects: ['svc:billing'], objects: ['*', 'secret:*'], operations: ['@all'] }],
};

let secrets = 0;

/** Gives this tenant one of everything, named by nobody else. */
export async function furnished({ platform, billing }: Onboarded, tenant: Tenant): Promise<Belongings> {
  const { keyPlane, dataPlanes } = platform.urls;
  const at = `/v1/tenants/${tenant.name}`;
  const admin = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    (await must(keyPlane, tenant.admin, method, at + path, body, headers)).body;
  const { headers } = await api(keyPlane, tenant.admin, 'GET', `${at}/policy`);
  const etag = headers.get('etag');
  await admin('PUT', '/policy', EVERYTHING, etag === null ? { 'if-none-match': '*' } : { 'if-match': etag });
  const alias = `alias/only-${tenant.name}`;
  const key = String((await admin('POST', '/keys', { alias }))['keyId']);
  const sealed = await must(dataPlanes[0]!, billing, 'POST', `${at}/encrypt`, { keyId: key, plaintext: 'AAAA' });
  const keyVersion = String(sealed.body['keyVersionId']);
  await admin('POST', `/keys/${key}/versions`, {});
  const operation = await admin('POST', `/keys/${key}/rewraps`, { fromVersionId: keyVersion, service: 'billing' });
  const imported = String((await admin('POST', '/keys', { origin: 'EXTERNAL' }))['keyId']);
  const parameters = await admin('POST', `/keys/${imported}/import-parameters`, { algorithm: 'RSAES_OAEP_SHA_1' });
  const made = async () => ({
    stop: String((await admin('POST', '/stops', { target: { scope: 'service', service: 'other' } }))['stopId']),
    sink: String((await admin('POST', '/sinks', { target: { type: 'webhook', url: 'https://hook.example/' } }))['sinkId']),
    secret: String((await admin('POST', '/secrets', { name: `only-${tenant.name}-${++secrets}`, keyId: key, value: 'AAAA' }))['secretId']),
    credential: String((await admin('POST', '/credentials', { principal: `only-${tenant.name}`, role: 'auditor' }))['credentialId']),
  });
  const other = async (keySpec: string): Promise<Named> => {
    const usage = keySpec.startsWith('RSA') && { keyUsage: 'ENCRYPT_DECRYPT' };
    const id = String((await admin('POST', '/keys', { keySpec, ...usage }))['keyId']);
    const [version] = (await admin('GET', `/keys/${id}/versions`))['items'] as { keyVersionId: string }[];
    return { key: id, keyVersion: version!.keyVersionId };
  };
  const gone = { ...(await made()), alias: 'alias/gone' };
  for (const path of [`/stops/${gone.stop}`, `/sinks/${gone.sink}`, `/credentials/${gone.credential}`]) await admin('DELETE', path);
  await admin('POST', `/secrets/${gone.secret}/delete`, { force: true });
  await admin('POST', '/aliases', { alias: gone.alias, keyId: key });
  await admin('DELETE', `/aliases?alias=${gone.alias}`);
  return {
    ...(await made()),
    gone,
    others: { signing: await other(OTHERS.signing), mac: await other(OTHERS.mac), sealing: await other(OTHERS.sealing) },
    ...{ key, keyVersion, alias, principal: `only-${tenant.name}` },
    operation: String(operation['operationId']),
    importToken: String(parameters['importToken']),
    ciphertext: String(sealed.body['ciphertext']),
    request: String(sealed.requestId),
  };
}
