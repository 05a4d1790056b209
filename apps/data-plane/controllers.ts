import { DataOperationsController } from './data-operations.controller.js';

/** Every route of the data-plane. */
export const controllers = [DataOperationsController];
export const title = 'Keyward data-plane';
