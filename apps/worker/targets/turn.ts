import { z } from 'zod';
import type { TargetStep, TargetTurn } from '#core';
import type { Reach, RotationId, RotationTarget } from './rotation-target.js';
import { TargetError } from './rotation-target.js';

const STEPS = ['create', 'apply', 'test', 'revert', 'retire'] as const satisfies readonly TargetStep[];

export const octets = z.custom<Uint8Array>((value) => value instanceof Uint8Array);

/** One step at one target, as it travels to the targets' process: values are bytes, because bytes can be wiped. */
export const turnRequest: z.ZodType<TargetTurn> = z.strictObject({
  kind: z.string(),
  step: z.enum(STEPS),
  rotation: z.strictObject({ tenant: z.string(), secretId: z.string(), versionId: z.string() }),
  options: z.record(z.string(), z.unknown()),
  connection: octets.optional(),
  current: octets,
  previous: octets.optional(),
  next: octets.optional(),
  old: octets.optional(),
});

/** A target, whatever its connections and values are. */
export interface AnyTarget {
  readonly kind: string;
  readonly ports: readonly number[];
  /** Of `create`, the next value. @throws TargetError, EgressError, or whatever a defect throws */
  turn(request: TargetTurn, reach: Reach): Promise<Uint8Array | undefined>;
}

/** What a target says of itself, as the targets' process runs it: shapes are checked before anything is done. */
export function anyTarget<Connection, Value, Options>(target: RotationTarget<Connection, Value, Options>): AnyTarget {
  const valueOf = (bytes: Uint8Array, name: string): Value => shaped(target.value, contentOf(bytes, name), name);
  const optional = (bytes: Uint8Array | undefined, name: string) => (bytes === undefined ? undefined : valueOf(bytes, name));
  return {
    kind: target.kind,
    ports: target.ports,
    turn: async (request, reach) => {
      const parts = {
        reach,
        rotation: request.rotation satisfies RotationId,
        connection: shaped(target.connection, contentOf(request.connection, 'connection'), 'connection'),
        options: shaped(target.options, request.options, 'options'),
        current: valueOf(request.current, 'value'),
      };
      const previous = optional(request.previous, 'previous');
      if (request.step === 'create') return bytesOf(await target.create({ ...parts, previous }));
      if (request.step === 'retire') return void (await target.retire({ ...parts, old: given(optional(request.old, 'old'), 'old') }));
      await target[request.step]({ ...parts, previous, next: given(optional(request.next, 'next'), 'next') });
      return undefined;
    },
  };
}

/** JSON where it is an object, else the text. */
function contentOf(bytes: Uint8Array | undefined, name: string): unknown {
  if (bytes === undefined) return undefined;
  const text = textOf(bytes, name);
  try {
    const content: unknown = JSON.parse(text);
    return typeof content === 'object' && content !== null ? content : text;
  } catch {
    return text;
  }
}

function textOf(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new TargetError('invalid', name);
  }
}

const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

/** Says which field is wrong, by names that are no secret, and nothing of what stands there. */
function shaped<Shape>(schema: z.ZodType<Shape>, content: unknown, name: string): Shape {
  const { success, data, error } = schema.safeParse(content);
  if (success) return data;
  const path = error.issues[0]!.path.filter((part) => typeof part === 'string' && /^[A-Za-z]{1,40}$/.test(part));
  throw new TargetError('invalid', [name, ...path].join('.'));
}

function given<Value>(value: Value | undefined, name: string): Value {
  if (value === undefined) throw new TargetError('invalid', name);
  return value;
}
