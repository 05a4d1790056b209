/** What Node says of a certificate that it does not trust (OpenSSL's X509_V_ERR_*), and a driver of a server without TLS. */
const DISTRUST = /^(ERR_TLS_CERT_ALTNAME_INVALID|CERT_\w+|\w*SELF_SIGNED_CERT\w*|UNABLE_TO_\w+|INVALID_CA|HANDSHAKE_NO_SSL_SUPPORT)$/;
const NO_TLS = 'The server does not support SSL connections';

/** True for a failure that trying again does not mend: no TLS there, or a certificate of somebody else's. */
export const isDistrust = (error: unknown): boolean => DISTRUST.test(codeOf(error)) || textOf(error) === NO_TLS;

/** What Node, a driver or a server calls the error; empty for none. Not by `instanceof`: jest's realm has an `Error` of its own. */
export const codeOf = (error: unknown): string => ownText(error, 'code');
const textOf = (error: unknown): string => ownText(error, 'message');

function ownText(error: unknown, name: 'code' | 'message'): string {
  const value = typeof error === 'object' && error !== null ? (error as Readonly<Record<string, unknown>>)[name] : undefined;
  return typeof value === 'string' ? value : '';
}
