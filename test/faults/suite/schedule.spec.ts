import { FAULTS } from './faults.js';
import { planOf } from './schedule.js';

it('a plan is the same for the same seed, another for another, and in the end hits everybody with everything', () => {
  expect(planOf(1, 50)).toEqual(planOf(1, 50));
  expect(planOf(1, 50)).not.toEqual(planOf(2, 50));
  const drawn = new Set(Array.from({ length: 40 }, (_, seed) => planOf(seed, 50).map(({ fault, victim }) => `${fault} ${victim}`)).flat());
  const all = Object.entries(FAULTS).flatMap(([name, { victims }]) => victims.map((victim) => `${name} ${victim}`));
  expect([...drawn].sort()).toEqual(all.sort());
});
