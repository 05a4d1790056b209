import { NEVER_RESTART } from '../../apps/custodian/exit-codes.js';
import { TestCustodian } from '../../apps/custodian/test-bed.js';
import { custodyContract, type Lacking } from '../../libs/testing/custody-contract.js';
import { FaultyModule } from './faulty-module.js';
import { nssIsMissing, nssModule, NssToken } from './nss.js';

/** A private key on a curve wants an attribute of NSS's own when it is unwrapped. */
const noPair = 'C_UnwrapKey: CKR_TEMPLATE_INCOMPLETE (0xd0)';
const noCurve = 'C_GenerateKeyPair: CKR_DOMAIN_PARAMS_INVALID (0x130)';
const noEdwards = 'C_GenerateKeyPair: CKR_MECHANISM_INVALID (0x70)';
const leaves = 'C_WrapKey: lets a private key out that is not extractable';
const RSA = { RSA_2048: leaves, RSA_3072: leaves, RSA_4096: leaves };
const LACKING: Lacking = { EC_P256: noPair, EC_P384: noPair, EC_P256K: noCurve, ED25519: noEdwards, ...RSA };

async function aToken(settings: NodeJS.ProcessEnv = {}) {
  const behind = await nssModule();
  const faulty = new FaultyModule(behind);
  const token = new NssToken(faulty, behind, settings);
  return { faulty, token };
}

async function onNss() {
  const { faulty, token } = await aToken({ KEYWARD_HSM_UNSAFE: 'tests-only' });
  const custodian = await TestCustodian.started(token);
  const [key, data, signer] = [await custodian.connect('key'), await custodian.connect('data'), await custodian.connect('worker')];
  const stop = async () => {
    await custodian.stop();
    token.remove();
    faulty.remove();
  };
  return { key, data, signer, custodian, stop };
}

/** A second vendor, whose templates, codes and mechanisms differ from SoftHSM's. */
if (nssIsMissing === undefined) custodyContract('the custodian on NSS softokn, which it takes in tests only', onNss, LACKING);
const describeWithNss = nssIsMissing === undefined ? describe : describe.skip;

describeWithNss(`a custodian on NSS softokn${nssIsMissing === undefined ? '' : ` (skipped: ${nssIsMissing})`}`, () => {
  it('does not serve, because NSS wraps out keys that are not extractable, and says so', async () => {
    const { faulty, token } = await aToken();
    const custodian = new TestCustodian(token);
    expect(await custodian.ended).toBe(NEVER_RESTART);
    expect(custodian.lines().filter(({ name }) => name === 'custodian')).toHaveLength(1);
    expect(custodian.log).toContain('The module allows wrapping a key that is not extractable');
    token.remove();
    faulty.remove();
  });

  it('is never hardware', async () => {
    const { faulty, token } = await aToken({ KEYWARD_HSM_UNSAFE: 'tests-only', KEYWARD_HSM_HARDWARE: 'true' });
    const custodian = new TestCustodian(token);
    expect(await custodian.ended).toBe(NEVER_RESTART);
    expect(custodian.log).toContain('KEYWARD_HSM_UNSAFE: hardware is not for tests only');
    token.remove();
    faulty.remove();
  });

  it('tells whoever asks that it is unsafe', async () => {
    const { key, custodian, stop } = await onNss();
    const { module } = await key.capabilities();
    expect(module).toMatch(/NSS.* \(for tests only: it allows wrapping a key that is not extractable/);
    expect(custodian.log).toContain('for tests only');
    await stop();
  });
});
