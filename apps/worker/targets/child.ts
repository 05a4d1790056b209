import { perform } from './perform.js';

/**
 * The targets' process: one turn, and it ends. It has no socket of a custodian, no database, no data directory and no environment; Node's
 * permissions keep files, programs, threads and native code from it. Its memory, with every value in it, goes with it.
 */
process.once('message', (order) => void perform(order).then((answer) => process.send!(answer, () => process.exit())));
// Whoever asked is gone: so is the reason to be here.
process.once('disconnect', () => process.exit());
