import { AuditController } from './audit.controller.js';

/** Every route of the auditor. */
export const controllers = [AuditController];
export const title = 'Keyward auditor';
