import { DataOperationsController } from './data-operations.controller.js';
import { EventsController } from './events.controller.js';

/** Every route of the data-plane. */
export const controllers = [DataOperationsController, EventsController];
export const title = 'Keyward data-plane';
