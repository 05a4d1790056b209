import { SecretUsesController } from '#http';
import { AliasesController } from './aliases.controller.js';
import { CalendarController } from './calendar.controller.js';
import { CapabilitiesController } from './capabilities.controller.js';
import { CredentialsController } from './credentials.controller.js';
import { IdentityProviderController } from './identity-provider.controller.js';
import { JobsController } from './jobs.controller.js';
import { KeysController } from './keys.controller.js';
import { LogController } from './log.controller.js';
import { OffBoardingController } from './off-boarding.controller.js';
import { OperationsController } from './operations.controller.js';
import { PolicyController } from './policy.controller.js';
import { PrivacyController } from './privacy.controller.js';
import { BindingKeyController } from './binding-key.controller.js';
import { QuotasController } from './quotas.controller.js';
import { RootController } from './root.controller.js';
import { SecretsController } from './secrets.controller.js';
import { ServicesController } from './services.controller.js';
import { SinksController } from './sinks.controller.js';
import { StopsController } from './stops.controller.js';
import { SuspensionsController } from './suspensions.controller.js';
import { TenantsController } from './tenants.controller.js';

/** Every route of the key-plane. */
export const controllers = [
  ...[TenantsController, ServicesController, SuspensionsController, QuotasController, OffBoardingController],
  ...[
    CredentialsController,
    IdentityProviderController,
    KeysController,
    LogController,
    AliasesController,
    CalendarController,
    CapabilitiesController,
    PolicyController,
    BindingKeyController,
    RootController,
    StopsController,
    SecretsController,
    SecretUsesController,
    SinksController,
    PrivacyController,
    OperationsController,
    JobsController,
  ],
];
export const title = 'Keyward key-plane';
