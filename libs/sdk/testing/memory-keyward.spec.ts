import { Unavailable } from '../errors.js';
import { dataPlaneContract, type TenantsHand } from '../test/data-plane-contract.js';
import { MemoryKeyward } from './index.js';

describe('Keyward in memory', () => {
  const memory = new MemoryKeyward();
  memory.grant('acme', 'alias/invoices');
  memory.grant('acme', 'alias/spare');
  const hand: TenantsHand = {
    client: memory,
    disable: async (alias) => memory.set('acme', alias, 'disabled'),
    enable: async (alias) => memory.set('acme', alias, 'enabled'),
    stop: async () => memory.stop('acme'),
    lift: async () => memory.lift('acme'),
    destroy: async (alias) => memory.set('acme', alias, 'destroyed'),
  };
  dataPlaneContract(() => hand);

  it('can be away', async () => {
    memory.away(true);
    await expect(memory.generateDataKey({ tenant: 'acme', keyId: 'alias/spare' })).rejects.toBeInstanceOf(Unavailable);
    memory.away(false);
  });
});
