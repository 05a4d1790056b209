export { openAsRecipient, sealerTo } from './hpke.js';
