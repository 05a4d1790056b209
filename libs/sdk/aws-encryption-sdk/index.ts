/** For those who use the AWS Encryption SDK itself; needs `@aws-crypto/material-management-node`. */
export { KeywardKeyring, type KeyringScope } from './keyring.js';
