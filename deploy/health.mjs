/**
 * Exits 0 when everything that is named answers: a Unix socket accepts a connection, an address answers 200.
 * What a container's health check runs: `node deploy/health.mjs /run/keyward/key/key.sock https://localhost:7710/readyz`
 */
import { connect } from 'node:net';

const PATIENCE_MS = 2500;

const accepts = (path) =>
  new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.end(resolve));
    socket.once('error', reject);
  });

const answers = async (url) => {
  const { ok, status } = await fetch(url);
  if (!ok) throw new Error(`${url} answers ${status}`);
};

setTimeout(() => fail(new Error(`no answer in ${PATIENCE_MS} ms`)), PATIENCE_MS).unref();

function fail({ message, cause }) {
  process.stderr.write(`${message}${cause === undefined ? '' : `: ${cause.message}`}\n`);
  process.exit(1);
}

await Promise.all(process.argv.slice(2).map((target) => (target.startsWith('/') ? accepts(target) : answers(target)))).catch(fail);
