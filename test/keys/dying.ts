/** What a process was killed by: nothing it does after that has an effect. */
class Killed extends Error {}

/**
 * The same objects, for a process that is killed after so many calls of theirs: half of the time the last call had its effect, and its
 * answer was lost; half of the time it never came.
 */
export function dyingAfter<Parts extends Record<string, object>>(steps: number, parts: Parts): Parts {
  let left = Math.floor(steps / 2);
  const hasEffect = steps % 2 === 1;
  const dying = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          if (left < 0) throw new Killed();
          left -= 1;
          if (left >= 0) return (await value.apply(target, args)) as unknown;
          if (hasEffect) await value.apply(target, args);
          throw new Killed();
        };
      },
    });
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, dying(part)])) as Parts;
}
