import { CURRENT, MAX_SECRET_LABELS, MAX_SECRET_VERSIONS, PENDING, PREVIOUS, type UpdateSecretLabelsRequest } from '#contract';
import { InvalidRequest } from './errors.js';
import type { Labels, StoredVersion } from './ports/secrets.js';

/** Those that are always provided for. */
const BUILT_IN: ReadonlySet<string> = new Set([CURRENT, PREVIOUS, PENDING]);
/** Room for `ACSCurrent` and `ACSPrevious` is kept, so that a new value never fails for a label. */
const MAX_OWN_LABELS = MAX_SECRET_LABELS - 2;

/**
 * Labels with a new version. Without labels of its own it is current, as the first one always is; what was current before is previous.
 * @throws InvalidRequest for more than 8 in all
 */
export function labelsAfterPut(before: Labels, versionId: string, given: readonly string[] = [CURRENT]): Labels {
  const names = new Set(before[CURRENT] === undefined ? [CURRENT, ...given] : given);
  const after = { ...before, ...Object.fromEntries([...names].map((label) => [label, versionId])) };
  const last = before[CURRENT];
  return few(names.has(CURRENT) && last !== undefined && !names.has(PREVIOUS) ? { ...after, [PREVIOUS]: last } : after);
}

/**
 * A label goes to another version, or goes. Whoever moves one says where it is now, so that no move of somebody else's is undone unseen.
 * @throws InvalidRequest naming the field
 */
export function labelsAfterMove(
  before: Labels,
  { label, moveTo, removeFrom }: UpdateSecretLabelsRequest,
  versions: readonly Pick<StoredVersion, 'versionId'>[],
): Labels {
  const holder = Object.hasOwn(before, label) ? before[label] : undefined;
  if (moveTo !== undefined && !versions.some(({ versionId }) => versionId === moveTo)) throw no('moveTo', 'is no version of this secret');
  const isThere = holder !== undefined && holder === moveTo;
  if (holder !== removeFrom && !isThere)
    throw no('removeFrom', holder === undefined ? 'does not have this label' : 'must be the version that has this label now');
  if (moveTo === undefined && label === CURRENT) throw no('moveTo', 'is needed: there is always a current version');
  const others = Object.fromEntries(Object.entries(before).filter(([name]) => name !== label));
  if (moveTo === undefined) return others;
  const moved = { ...others, [label]: moveTo };
  return few(label === CURRENT && holder !== undefined && holder !== moveTo ? { ...moved, [PREVIOUS]: holder } : moved);
}

/** What a rotation made becomes current, and what was current previous. */
export function labelsAfterPromotion({ [PENDING]: _pending, ...before }: Labels, versionId: string): Labels {
  const last = before[CURRENT];
  return { ...before, [CURRENT]: versionId, ...(last !== undefined && last !== versionId && { [PREVIOUS]: last }) };
}

/** What makes room for one more version: the oldest without a label. There are fewer labels than versions. */
export function versionToDrop(versions: readonly Pick<StoredVersion, 'versionId'>[], labels: Labels): string | undefined {
  if (versions.length < MAX_SECRET_VERSIONS) return undefined;
  const labelled = new Set(Object.values(labels));
  return versions.find(({ versionId }) => !labelled.has(versionId))?.versionId;
}

/** Those of one version, sorted. */
export const labelsOf = (labels: Labels, versionId: string): string[] =>
  Object.keys(labels)
    .filter((label) => labels[label] === versionId)
    .sort();

function few(labels: Labels): Labels {
  const own = Object.keys(labels).filter((label) => !BUILT_IN.has(label));
  if (own.length > MAX_OWN_LABELS)
    throw no('labels', `a secret has at most ${MAX_SECRET_LABELS} labels, ${CURRENT} and ${PREVIOUS} among them`);
  return labels;
}

const no = (field: string, message: string): InvalidRequest => new InvalidRequest([{ field, message }]);
