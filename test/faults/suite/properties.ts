import { completeness } from './checks/completeness.js';
import { decryptability } from './checks/decryptability.js';
import { exactlyOnce } from './checks/exactly-once.js';
import { fence } from './checks/fence.js';
import { isolation } from './checks/isolation.js';
import { nothingLost } from './checks/nothing-lost.js';
import { noSurprise } from './checks/no-surprise.js';
import type { Evidence } from './evidence.js';

/** What must hold whatever goes wrong: each finds what is against it, in words. docs/testing.md says how to read them. */
export const PROPERTIES = {
  completeness,
  fence,
  'exactly once': exactlyOnce,
  'nothing lost': nothingLost,
  decryptability,
  isolation,
  'no surprise': noSurprise,
  recovery: ({ unwell }: Evidence): string[] => [...unwell],
} as const;
export type Property = keyof typeof PROPERTIES;

export type Findings = Readonly<Partial<Record<Property, readonly string[]>>>;

/** Only properties that do not hold. */
export const judge = (evidence: Evidence): Findings =>
  Object.fromEntries(
    Object.entries(PROPERTIES)
      .map(([name, find]) => [name, find(evidence)] as const)
      .filter(([, found]) => found.length > 0),
  );
