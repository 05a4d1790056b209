import { problem } from '#contract';
import { z } from 'zod';

type JsonSchema = Record<string, unknown>;

export const problemReference = { $ref: '#/components/schemas/Problem' };

/** Component schemas that were asked for while decorators ran: name → schema. */
const answers = new Map<string, JsonSchema>();

/** A request's schema: a reference where it has an id, and the components that it needs. */
export function requestSchema(schema: z.ZodType): { schema: JsonSchema; components: Record<string, JsonSchema> } {
  return convert(schema, 'input');
}

/** An answer's schema; its components are collected for `answerComponents`. */
export function answerSchema(schema: z.ZodType): JsonSchema {
  const converted = convert(schema, 'output');
  for (const [name, component] of Object.entries(converted.components)) answers.set(name, component);
  return converted.schema;
}

/** The components of all answers and of problems. */
export function answerComponents(): Record<string, JsonSchema> {
  return { ...convert(problem, 'output').components, ...Object.fromEntries(answers) };
}

function convert(schema: z.ZodType, io: 'input' | 'output'): { schema: JsonSchema; components: Record<string, JsonSchema> } {
  // An answer has what its defaults filled in, a request need not: two schemas of one id, told apart by name where they differ.
  const name = (id: string) => (io === 'output' && DIFFERING.has(id) ? `${id}Answer` : id);
  const { $schema: _, $defs = {}, ...root } = z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any' });
  const components = Object.fromEntries(Object.entries($defs).map(([id, definition]) => [name(id), referring(definition, name)]));
  // Nest spreads a query over one parameter a field, which it cannot do behind a reference.
  const query = /^#\/\$defs\/(\w+Query)$/.exec(root.$ref ?? '')?.[1];
  return query === undefined ? { schema: referring(root, name), components } : { schema: components[query]!, components: {} };
}

/** With references as OpenAPI spells them. */
function referring(schema: object, name: (id: string) => string): JsonSchema {
  const text = JSON.stringify(schema).replaceAll(/"#\/\$defs\/(\w+)"/g, (_, id: string) =>
    JSON.stringify(`#/components/schemas/${name(id)}`),
  );
  return JSON.parse(text) as JsonSchema;
}

/** Ids whose request and answer forms differ: those with defaults. */
const DIFFERING = new Set(['PolicyDocument']);
