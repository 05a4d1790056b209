import type { KeyOperation } from '#contract';
import type { Handlers } from '../pipeline.js';
import { adminHandlers } from './admins.js';
import { type OperatorParts, operatorHandlers } from './operators.js';

/** Everything the key plane does. An operation of the table without a handler does not compile here. */
export const keyHandlers = (parts: OperatorParts): Handlers<KeyOperation> => ({ ...operatorHandlers(parts), ...adminHandlers(parts) });
