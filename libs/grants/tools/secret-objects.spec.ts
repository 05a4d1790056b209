import { policyDocument } from '#contract';
import { diff } from './diff.js';

const grants = (objects: string[], operations: string[] = ['@all']) =>
  policyDocument.parse({ schema: 'keyward.policy/1', grants: [{ id: 'one', subjects: ['svc:billing'], objects, operations }] });

describe('a policy that names secrets', () => {
  it.each<[string[], string[], string]>([
    [['*'], ['secret:app/db'], 'widening'],
    [['*'], ['*', 'secret:*'], 'widening'],
    [['secret:*'], ['secret:app/*'], 'narrowing'],
    [['secret:app/*'], ['secret:app/db'], 'narrowing'],
    [['secret:app/*'], ['secret:app'], 'widening'],
    [['alias/app*'], ['secret:app/db'], 'widening'],
    [['secret:app/*'], ['alias/app/db'], 'widening'],
  ])('from %j to %j is %s', (from, to, change) => {
    expect(diff(grants(from), grants(to)).change).toBe(change);
  });

  it.each(['secret:', 'secret:a b', 'secret:a*b', `secret:${'a'.repeat(193)}`, 'secret'])('does not name %s', (object) => {
    expect(() => grants([object])).toThrow();
  });

  it('says so in words', () => {
    expect(diff(undefined, grants(['secret:app/*'], ['GetSecretValue'])).sentences[0]).toContain('GetSecretValue with secret:app/*');
  });
});
