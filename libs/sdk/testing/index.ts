/** For the unit tests of whoever uses the SDK: no server, no network. */
export { MemoryKeyward } from './memory-keyward.js';
