import { type CapabilitiesAnswer, KEY_SPECS, type KeySpec, SOFTWARE_SPECS, TRIED_ALGORITHMS, USAGES_OF } from '#contract';
import { InvalidRequest } from '../errors.js';
import type { Handlers } from '../pipeline.js';
import type { Custody, CustodyCapabilities } from '../ports/custody.js';

export interface CapabilityParts {
  readonly custody: Pick<Custody, 'capabilities'>;
}

const inSoftware: ReadonlySet<KeySpec> = new Set(SOFTWARE_SPECS);

/** What the connected HSM really does. */
export const capabilityHandlers = ({ custody }: CapabilityParts): Handlers<'DescribeCapabilities'> => ({
  DescribeCapabilities: async () => {
    const { module, protectionLevel, specs, unavailable, algorithms, inMemory } = await custody.capabilities();
    const tried = KEY_SPECS.map((keySpec): CapabilitiesAnswer['specs'][number] => {
      const reason = unavailable[keySpec];
      return {
        ...{ keySpec, keyUsages: [...USAGES_OF[keySpec]], protectionLevel: inSoftware.has(keySpec) ? 'SOFTWARE' : protectionLevel },
        ...{ available: specs.includes(keySpec), ...(reason !== undefined && { reason }) },
      };
    });
    const able = TRIED_ALGORITHMS.map((algorithm): CapabilitiesAnswer['algorithms'][number] => {
      const reason = algorithms[algorithm];
      const passes = inMemory.includes(algorithm) && ({ inMemory: true } as const);
      return { algorithm, available: reason === undefined, ...(reason !== undefined && { reason }), ...passes };
    });
    return { answer: { module, protectionLevel, specs: tried, algorithms: able }, details: {} };
  },
});

/** Answers in which token it would be made. @throws InvalidRequest with the HSM's reason, for what it cannot make */
export async function mustBeAble({ custody }: CapabilityParts, spec: KeySpec): Promise<CustodyCapabilities['token']> {
  const { specs, unavailable, token } = await custody.capabilities();
  if (specs.includes(spec)) return token;
  throw new InvalidRequest([{ field: 'keySpec', message: `the HSM cannot do it: ${unavailable[spec] ?? 'not tried'}` }]);
}
