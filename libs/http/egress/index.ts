export { Egress, type EgressAnswer, type EgressConnection, type EgressOptions, type EgressRequest } from './egress.js';
export { EgressError } from './egress-error.js';
