export {
  Egress,
  type EgressAnswer,
  type EgressConnection,
  type EgressDial,
  type EgressOptions,
  type EgressRequest,
  TLS_SETTINGS,
} from './egress.js';
export { EgressError } from './egress-error.js';
