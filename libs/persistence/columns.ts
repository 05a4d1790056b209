/** Columns as entities name their types. */
export const id = { type: 'text', primary: true } as const;
export const text = { type: 'text' } as const;
export const bytes = { type: 'bytea' } as const;
export const time = { type: 'timestamptz' } as const;
export const list = { type: 'text', array: true } as const;
export const json = { type: 'json' } as const;
export const tenantId = { ...id, name: 'tenant_id' } as const;
