import { CURRENT, MAX_SECRET_VERSIONS, PENDING, PREVIOUS, type UpdateSecretLabelsRequest } from '#contract';
import fc from 'fast-check';
import { KeywardError } from './errors.js';
import type { Labels } from './ports/secrets.js';
import { labelsAfterMove, labelsAfterPromotion, labelsAfterPut, labelsOf, versionToDrop } from './secret-labels.js';

const versions = (...ids: string[]) => ids.map((versionId) => ({ versionId }));
const own = (count: number): Labels => Object.fromEntries(Array.from({ length: count }, (_, index) => [`own${index}`, 'v1']));
const outcome = <Answer>(work: () => Answer) => {
  try {
    return work();
  } catch (error) {
    return (error as KeywardError).fields[0]?.field;
  }
};

describe('the labels of a secret', () => {
  it.each<[string, Labels, string[] | undefined, Labels | string]>([
    ['the first value is current', {}, undefined, { [CURRENT]: 'new' }],
    ['the first value is current whatever it is called', {}, ['blue'], { [CURRENT]: 'new', blue: 'new' }],
    ['a new value is current, the last one previous', { [CURRENT]: 'v1' }, undefined, { [CURRENT]: 'new', [PREVIOUS]: 'v1' }],
    ['previous moves on', { [CURRENT]: 'v2', [PREVIOUS]: 'v1' }, undefined, { [CURRENT]: 'new', [PREVIOUS]: 'v2' }],
    ['one with another label is not current', { [CURRENT]: 'v1' }, ['blue'], { [CURRENT]: 'v1', blue: 'new' }],
    ['a label moves to the new one', { [CURRENT]: 'v1', blue: 'v1' }, ['blue'], { [CURRENT]: 'v1', blue: 'new' }],
    ['both labels of ours may be given', { [CURRENT]: 'v1' }, [CURRENT, PREVIOUS], { [CURRENT]: 'new', [PREVIOUS]: 'new' }],
    ['six of one’s own', { [CURRENT]: 'v1', ...own(5) }, ['six'], { [CURRENT]: 'v1', ...own(5), six: 'new' }],
    ['a seventh is refused', { [CURRENT]: 'v1', ...own(6) }, ['seven'], 'labels'],
    ['with six a new value is still current', { [CURRENT]: 'v1', ...own(6) }, undefined, { [CURRENT]: 'new', [PREVIOUS]: 'v1', ...own(6) }],
    ['what is pending needs no room', { [CURRENT]: 'v1', ...own(6) }, [PENDING], { [CURRENT]: 'v1', ...own(6), [PENDING]: 'new' }],
  ])('after a put: %s', (_, before, given, after) => {
    expect(outcome(() => labelsAfterPut(before, 'new', given))).toEqual(after);
  });

  const two = { [CURRENT]: 'v2', [PREVIOUS]: 'v1', blue: 'v1' };
  it.each<[string, UpdateSecretLabelsRequest, Labels | string]>([
    ['to another version', { label: 'blue', moveTo: 'v2', removeFrom: 'v1' }, { ...two, blue: 'v2' }],
    ['to where it is', { label: 'blue', moveTo: 'v1' }, two],
    ['a new one', { label: 'green', moveTo: 'v2' }, { ...two, green: 'v2' }],
    ['one that every object has', { label: 'constructor', moveTo: 'v2' }, { ...two, constructor: 'v2' }],
    ['away', { label: 'blue', removeFrom: 'v1' }, { [CURRENT]: 'v2', [PREVIOUS]: 'v1' }],
    ['back to the version before', { label: CURRENT, moveTo: 'v1', removeFrom: 'v2' }, { ...two, [CURRENT]: 'v1', [PREVIOUS]: 'v2' }],
    ['previous away', { label: PREVIOUS, removeFrom: 'v1' }, { [CURRENT]: 'v2', blue: 'v1' }],
    ['without saying where it is', { label: 'blue', moveTo: 'v2' }, 'removeFrom'],
    ['from where it is not', { label: 'blue', moveTo: 'v2', removeFrom: 'v2' }, 'removeFrom'],
    ['away from where it is not', { label: 'green', removeFrom: 'v1' }, 'removeFrom'],
    ['to no version', { label: 'blue', moveTo: 'v9', removeFrom: 'v1' }, 'moveTo'],
    ['current away', { label: CURRENT, removeFrom: 'v2' }, 'moveTo'],
  ])('moves %s', (_, request, after) => {
    expect(outcome(() => labelsAfterMove(two, request, versions('v1', 'v2')))).toEqual(after);
  });

  it('moves no seventh label of one’s own', () => {
    const full = { [CURRENT]: 'v1', ...own(6) };
    expect(outcome(() => labelsAfterMove(full, { label: 'seven', moveTo: 'v1' }, versions('v1')))).toBe('labels');
  });

  it.each<[string, Labels, Labels]>([
    ['what was pending is current', { [CURRENT]: 'v1', [PENDING]: 'v2' }, { [CURRENT]: 'v2', [PREVIOUS]: 'v1' }],
    ['a second time changes nothing', { [CURRENT]: 'v2', [PREVIOUS]: 'v1' }, { [CURRENT]: 'v2', [PREVIOUS]: 'v1' }],
  ])('after a promotion: %s', (_, before, after) => {
    expect(labelsAfterPromotion(before, 'v2')).toEqual(after);
  });

  it('are there for the oldest version without one, and for nobody else, when room is made', () => {
    const ten = versions(...Array.from({ length: 10 }, (_, index) => `v${index}`));
    expect(versionToDrop(ten.slice(1), {})).toBeUndefined();
    expect(versionToDrop(ten, { [CURRENT]: 'v9', [PREVIOUS]: 'v0', blue: 'v1' })).toBe('v2');
  });

  it('keep, whatever is put and moved, a current version, eight labels at most, and a version to drop', () => {
    const label = fc.constantFrom(CURRENT, PREVIOUS, 'a', 'b', 'c', 'd', 'e', 'f', 'g');
    const step = fc.oneof(
      fc.record({ put: fc.uniqueArray(label, { minLength: 1, maxLength: 3 }) }),
      fc.record({ label, to: fc.option(fc.nat(9)) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let [labels, kept, next]: [Labels, string[], number] = [labelsAfterPut({}, 'v0'), ['v0'], 1];
        for (const one of steps) {
          try {
            if ('put' in one) {
              const id = `v${next++}`;
              const after = labelsAfterPut(labels, id, one.put);
              const dropped = versionToDrop(versions(...kept), after);
              if (kept.length === MAX_SECRET_VERSIONS) expect(dropped).toBeDefined();
              [labels, kept] = [after, [...kept.filter((version) => version !== dropped), id]];
            } else {
              const moveTo = one.to === null ? undefined : kept[one.to % kept.length];
              labels = labelsAfterMove(labels, { label: one.label, moveTo, removeFrom: labels[one.label] }, versions(...kept));
            }
          } catch (error) {
            if (!(error instanceof KeywardError)) throw error;
          }
          expect(kept).toContain(labels[CURRENT]);
          expect(Object.keys(labels).length).toBeLessThanOrEqual(8);
          expect(kept.length).toBeLessThanOrEqual(MAX_SECRET_VERSIONS);
          for (const version of Object.values(labels)) expect(kept).toContain(version);
        }
      }),
    );
  });

  it('of one version are told in order', () => {
    expect(labelsOf({ b: 'v1', [CURRENT]: 'v1', a: 'v2' }, 'v1')).toEqual([CURRENT, 'b']);
  });
});
