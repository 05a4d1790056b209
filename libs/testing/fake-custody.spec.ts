import { custodyContract } from './custody-contract.js';
import { FakeCustody } from './fake-custody.js';

custodyContract('the fake', async () => {
  const fake = new FakeCustody();
  return { key: fake, data: fake, signer: fake, stop: async () => undefined };
});
