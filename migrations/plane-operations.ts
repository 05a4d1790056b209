/** Lets a plane's role append records of these operations (contract/operations.ts; a test compares them). */
export const mayAppend = (role: string, operations: readonly string[]): string =>
  `INSERT INTO keyward.plane_operation VALUES ${operations.map((operation) => `('${role}', '${operation}')`).join(', ')};`;

export const mayNotAppend = (operations: readonly string[]): string =>
  `DELETE FROM keyward.plane_operation WHERE op IN (${operations.map((operation) => `'${operation}'`).join(', ')});`;
