import { AUTHORITY } from '../receivers/tls.js';

/** What every server's admin of accounts logs in with. */
export const ROTATOR = { username: 'rotator', password: 'admin-password-of-a-test' } as const;

/** How a target reaches a server of accounts that listens here, in clear text and by TLS, and an admin's login that is wrong. */
export abstract class ReachedByRotator {
  abstract readonly server: { readonly port: number };

  get origins(): string[] {
    return [`127.0.0.1:${this.server.port}`];
  }

  get connection() {
    return { host: '127.0.0.1', port: this.server.port, ...ROTATOR, cleartext: true };
  }

  get secured() {
    return { ...this.connection, cleartext: false, certificateAuthority: AUTHORITY };
  }

  get wrong() {
    return { ...this.connection, password: 'not-the-password-of-the-admin' };
  }
}
