import { SecretUsesController } from '#http';
import { DataOperationsController } from './data-operations.controller.js';
import { EventsController } from './events.controller.js';
import { RewrapsController } from './rewraps.controller.js';

/** Every route of the data-plane. */
export const controllers = [DataOperationsController, EventsController, RewrapsController, SecretUsesController];
export const title = 'Keyward data-plane';
