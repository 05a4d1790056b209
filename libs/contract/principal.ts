import { z } from 'zod';

/** Who may call. `enrolment` is the holder of a one-use code and may do nothing but enrol. */
export const role = z.enum(['operator', 'enrolment', 'admin', 'auditor', 'service', 'worker']);
export type Role = z.infer<typeof role>;

/** How a caller proved who it is: by an API key, by its own signature (RFC 7523), or by its tenant's identity provider. */
export const authMethod = z.enum(['api-key', 'private-key-jwt', 'oidc']);
export type AuthMethod = z.infer<typeof authMethod>;
