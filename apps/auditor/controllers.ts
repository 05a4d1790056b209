import { AuditController } from './audit.controller.js';
import { ReportsController } from './reports.controller.js';

/** Every route of the auditor. */
export const controllers = [AuditController, ReportsController];
export const title = 'Keyward auditor';
