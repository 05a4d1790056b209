import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK } from 'jose';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicPem: string;
  readonly publicJwk: JWK;
  readonly jwk: JWK;
}

export async function aSigningKey(kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const about = { kid, alg: 'RS256', use: 'sig' };
  const [jwk, publicJwk, publicPem] = await Promise.all([exportJWK(privateKey), exportJWK(publicKey), exportSPKI(publicKey)]);
  return { kid, privateKey, publicPem, publicJwk: { ...publicJwk, ...about }, jwk: { ...jwk, ...about } };
}

/** A running oidc-provider that issues JWT access tokens to its clients. */
export class IdentityProvider {
  private constructor(
    private readonly child: ChildProcess,
    private readonly subjects: readonly string[],
    readonly issuer: string,
  ) {}

  static async start(key: SigningKey, subjects: readonly string[]): Promise<IdentityProvider> {
    const child = fork(join(__dirname, 'oidc-provider.mjs'), { stdio: 'ignore', execArgv: [] });
    return new IdentityProvider(child, subjects, await told(child, subjects, [key]));
  }

  get origin(): string {
    return new URL(this.issuer).host;
  }

  get jwksUri(): string {
    return `${this.issuer}/jwks`;
  }

  /** From now on it signs with the first and publishes all. */
  async useKeys(...keys: readonly SigningKey[]): Promise<void> {
    await told(this.child, this.subjects, keys);
  }

  /** A token for `audience`, of whom it calls `subject`. */
  async token(subject: string, audience: string): Promise<string> {
    const answer = await fetch(`${this.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${subject}:secret`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', resource: audience }),
    });
    const { access_token: token } = (await answer.json()) as { access_token?: string };
    if (token === undefined) throw new Error(`The identity provider answered ${answer.status}.`);
    return token;
  }

  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.disconnect();
    await ended;
  }
}

async function told(child: ChildProcess, subjects: readonly string[], keys: readonly SigningKey[]): Promise<string> {
  const answered = once(child, 'message');
  child.send({ jwks: { keys: keys.map(({ jwk }) => jwk) }, subjects, lifeSeconds: 3600 });
  const [issuer] = (await answered) as [string];
  return issuer;
}
