import { z } from 'zod';

/** Who may call. `enrolment` is the holder of a one-use code and may do nothing but enrol. */
export const role = z.enum(['operator', 'enrolment', 'admin', 'auditor', 'service', 'worker']);
export type Role = z.infer<typeof role>;
