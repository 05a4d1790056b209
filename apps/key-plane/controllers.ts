import { CredentialsController } from './credentials.controller.js';
import { KeysController } from './keys.controller.js';
import { RulesController } from './rules.controller.js';
import { ServicesController } from './services.controller.js';
import { TenantsController } from './tenants.controller.js';

/** Every route of the key-plane. */
export const controllers = [TenantsController, ServicesController, CredentialsController, KeysController, RulesController];
export const title = 'Keyward key-plane';
