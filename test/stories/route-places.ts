/** What a request can name that belongs to a tenant. A number within the tenant's own log or policy is none. */
const KINDS: Readonly<Record<string, Kind | undefined>> = {
  key: 'key',
  keyId: 'key',
  sourceKeyId: 'key',
  destinationKeyId: 'key',
  keyVersion: 'keyVersion',
  keyVersionId: 'keyVersion',
  fromVersionId: 'keyVersion',
  confirm: 'keyVersion',
  alias: 'alias',
  credential: 'credential',
  stop: 'stop',
  sink: 'sink',
  operation: 'operation',
  secret: 'secret',
  secretId: 'secret',
  connectionSecret: 'secret',
  importToken: 'importToken',
  ciphertext: 'ciphertext',
  requestId: 'request',
  principal: 'principal',
  cursor: 'cursor',
};

export const KIND_NAMES = [
  ...['key', 'keyVersion', 'alias', 'credential', 'stop', 'sink', 'operation', 'secret', 'importToken'],
  ...['ciphertext', 'request', 'principal', 'cursor'],
] as const;
export type Kind = (typeof KIND_NAMES)[number];

/** Where a request of an operation names something. */
export interface Place {
  readonly in: 'path' | 'query' | 'body';
  /** Of the parameter, or the way through the body: `items.0.keyId`. */
  readonly name: string;
  readonly kind: Kind;
}

export interface DescribedOperation {
  readonly operation: string;
  readonly method: string;
  readonly url: string;
  readonly places: readonly Place[];
  /** Strings with the shape of an identifier whose name nobody here knows. */
  readonly unknown: readonly string[];
}

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}
interface Described {
  readonly operationId: string;
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

/** An identifier's pattern, or a base64 ciphertext's: everything else says what it is by its name. */
const IDENTIFIER = /^\^[a-z]+_\[0-7\]/;
/** Lists of names that belong to no tenant, or to the whole of a policy document. */
const DEEPEST = 4;

/** What a plane's OpenAPI document says that its requests name. */
export function describedOperations(document: Document): DescribedOperation[] {
  return Object.entries(document.paths).flatMap(([url, methods]) =>
    Object.entries(methods).map(([method, described]) => {
      const found = stringsOf(document, described);
      const places = found.flatMap(({ where, name }): Place[] => {
        const kind = KINDS[name.split('.').at(-1)!];
        // A body's principal is a name that its sender gives.
        return kind === undefined || (where === 'body' && kind === 'principal') ? [] : [{ in: where, name, kind }];
      });
      const unknown = found.filter(({ name, pattern }) => IDENTIFIER.test(pattern) && KINDS[name.split('.').at(-1)!] === undefined);
      return {
        operation: described.operationId,
        method: method.toUpperCase(),
        url,
        places,
        unknown: unknown.map(({ where, name }) => `${described.operationId}: ${where} ${name}`),
      };
    }),
  );
}

interface Found {
  readonly where: Place['in'];
  readonly name: string;
  readonly pattern: string;
}

function stringsOf(document: Document, { parameters = [], requestBody }: Described): Found[] {
  const found = new Map<string, Found>();
  const walk = (where: Place['in'], name: string, given: Schema, depth: number): void => {
    const schema = resolved(document, given);
    if (depth > DEEPEST) return;
    for (const part of [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]) walk(where, name, part, depth);
    if (schema.type === 'string' && schema.enum === undefined)
      found.set(`${where} ${name}`, { where, name, pattern: schema.pattern ?? '' });
    for (const [property, inner] of Object.entries(schema.properties ?? {}))
      walk(where, name === '' ? property : `${name}.${property}`, inner, depth + 1);
    if (schema.items !== undefined) walk(where, `${name}.0`, schema.items, depth + 1);
  };
  for (const { in: where, name, schema } of parameters) if (where === 'path' || where === 'query') walk(where, name, schema, 0);
  const json = requestBody?.content['application/json'];
  if (json !== undefined) walk('body', '', json.schema, 0);
  return [...found.values()];
}

function resolved(document: Document, schema: Schema): Schema {
  const name = schema.$ref?.split('/').at(-1);
  return name === undefined ? schema : (document.components?.schemas?.[name] ?? {});
}
