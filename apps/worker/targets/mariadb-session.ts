import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { TLS_SETTINGS } from '#http/egress';

const MAX_PACKET_BYTES = 64 * 1024;
const NATIVE = 'mysql_native_password';
const UTF8MB4 = 45;
const [CONNECT_WITH_DB, SSL] = [0x8, 0x8_00];
/** LONG_PASSWORD, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH; no LOCAL_FILES, no MULTI_STATEMENTS. */
const CAPABILITIES = 0x1 | 0x2_00 | 0x20_00 | 0x80_00 | 0x8_00_00;
const [OK, LOCAL_INFILE, SWITCH, ERROR] = [0x00, 0xfb, 0xfe, 0xff];
const QUERY = 0x03;

/** What MariaDB answers instead, by the number of its error. */
export class MariadbFailure extends Error {
  override readonly name = 'MariadbFailure';

  constructor(readonly number: number) {
    super('MariaDB refused.');
  }
}

/** What a server asks for that nobody gets: no TLS, another authentication than by mysql_native_password, a file. */
export class MariadbDistrust extends Error {
  override readonly name = 'MariadbDistrust';
}

export interface MariadbLogin {
  readonly user: string;
  readonly password: string;
  readonly database?: string | undefined;
}

/** How its certificate is judged. */
export interface MariadbTls {
  readonly host: string;
  readonly certificateAuthority?: string | undefined;
}

/** MariaDB's protocol, as much of it as a login and statements without rows need ("Clients & Utilities: Client/Server Protocol"). */
export class MariadbSession {
  #unread = Buffer.alloc(0);
  #sequence = 0;

  private constructor(private socket: Socket) {}

  /** @throws MariadbFailure, MariadbDistrust, or an error of Node's */
  static async open(socket: Socket, login: MariadbLogin, tls: MariadbTls | undefined): Promise<MariadbSession> {
    const session = new MariadbSession(socket);
    const { capabilities, salt } = greeting(await session.#read());
    const database = login.database === undefined ? 0 : CONNECT_WITH_DB;
    const head = header(CAPABILITIES | database | (tls === undefined ? 0 : SSL));
    if (tls !== undefined) {
      if ((capabilities & SSL) === 0) throw new MariadbDistrust('no TLS');
      session.#write(head);
      await session.#startTls(tls);
    }
    const name = login.database === undefined ? [] : [terminated(login.database)];
    session.#write(head, terminated(login.user), Buffer.of(20), proof(login.password, salt), ...name, terminated(NATIVE));
    await session.#authenticated(login);
    return session;
  }

  /** One statement that answers no rows. @throws MariadbFailure, MariadbDistrust, or an error of Node's */
  async run(statement: string): Promise<void> {
    this.#sequence = 0;
    this.#write(Buffer.of(QUERY), Buffer.from(statement));
    const answer = await this.#read();
    if (answer[0] === LOCAL_INFILE) throw new MariadbDistrust('a file');
    if (answer[0] !== OK) throw new Error('Not the answer of a statement without rows.');
  }

  async #authenticated({ password }: MariadbLogin): Promise<void> {
    const answer = await this.#read();
    if (answer[0] === OK) return;
    const end = answer.indexOf(0, 1);
    if (answer[0] !== SWITCH || answer.toString('latin1', 1, end) !== NATIVE) throw new MariadbDistrust('another authentication');
    this.#write(proof(password, answer.subarray(end + 1, end + 21)));
    if ((await this.#read())[0] !== OK) throw new MariadbDistrust('another authentication');
  }

  async #startTls({ host, certificateAuthority }: MariadbTls): Promise<void> {
    // Whatever came in clear text before TLS was not said by whom TLS vouches for.
    if (this.#unread.length > 0) throw new MariadbDistrust('words before TLS');
    const name = isIP(host) === 0 ? { servername: host } : {};
    const secured = connectTls({ socket: this.socket, host, ...name, ...TLS_SETTINGS, ca: certificateAuthority });
    await once(secured, 'secureConnect');
    this.socket = secured.on('error', () => undefined);
  }

  #write(...parts: readonly Uint8Array[]): void {
    const body = Buffer.concat(parts);
    const head = Buffer.alloc(4);
    head.writeUIntLE(body.length, 0, 3);
    head[3] = this.#sequence++;
    this.socket.write(Buffer.concat([head, body]));
  }

  /** @throws MariadbFailure where it is an error */
  async #read(): Promise<Buffer> {
    for (;;) {
      const end = this.#unread.length < 4 ? Number.POSITIVE_INFINITY : 4 + this.#unread.readUIntLE(0, 3);
      if (this.#unread.length >= end) {
        const packet = this.#unread.subarray(4, end);
        this.#sequence = this.#unread[3]! + 1;
        this.#unread = this.#unread.subarray(end);
        if (packet[0] === ERROR) throw new MariadbFailure(packet.readUInt16LE(1));
        return packet;
      }
      if (this.#unread.length > MAX_PACKET_BYTES) throw new Error('This is not MariaDB.');
      this.#unread = Buffer.concat([this.#unread, await chunk(this.socket)]);
    }
  }
}

async function chunk(socket: Socket): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read() as Buffer | null;
    if (bytes !== null) return bytes;
    if (socket.destroyed || socket.readableEnded) throw new Error('No answer of MariaDB.');
    await Promise.race([once(socket, 'readable'), once(socket, 'close')]);
  }
}

/** Initial handshake packet, version 10. */
function greeting(packet: Buffer): { capabilities: number; salt: Buffer } {
  // Behind the version's name and the thread's number.
  const at = packet.indexOf(0, 1) + 5;
  if (packet[0] !== 10 || packet.length < at + 43) throw new Error('This is not MariaDB.');
  const capabilities = packet.readUInt16LE(at + 9) | (packet.readUInt16LE(at + 14) << 16);
  return { capabilities, salt: Buffer.concat([packet.subarray(at, at + 8), packet.subarray(at + 27, at + 39)]) };
}

/** The beginning of SSLRequest and HandshakeResponse. */
function header(capabilities: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32LE(capabilities, 0);
  bytes.writeUInt32LE(MAX_PACKET_BYTES, 4);
  bytes[8] = UTF8MB4;
  return bytes;
}

const sha1 = (...parts: readonly Uint8Array[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha1')).digest();
const terminated = (text: string): Buffer => Buffer.from(`${text}\0`);

/** mysql_native_password: SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))). */
function proof(password: string, salt: Uint8Array): Buffer {
  const inner = sha1(Buffer.from(password));
  const mask = sha1(salt, sha1(inner));
  return inner.map((byte, at) => byte ^ mask[at]!) as Buffer;
}

/** What MariaDB keeps of a password: SHA1(SHA1(password)), in its spelling. It proves nothing to the server. */
export const nativeHash = (password: string): string =>
  `*${sha1(sha1(Buffer.from(password)))
    .toString('hex')
    .toUpperCase()}`;
