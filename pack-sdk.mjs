/**
 * Assembles `@keyward/sdk` as an ISV installs it, in `dist/sdk-package`: the SDK and the two libraries that it may import, compiled, with
 * their types, and nothing of a server. `npm pack` or `npm publish` goes on from there.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';

const root = import.meta.dirname;
const target = path.join(root, 'dist', 'sdk-package');
const LIBRARIES = ['contract', 'trail', 'sdk'];
/** Entries of the package, by their folder in libs/sdk. */
const ENTRIES = { '.': 'sdk', './typeorm': 'sdk/typeorm', './aws-encryption-sdk': 'sdk/aws-encryption-sdk', './testing': 'sdk/testing' };
const { version, license, dependencies } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
/** Only for the entries that are named after them; and whose `trace` a client takes, if there is one. */
const OPTIONAL = {
  ...Object.fromEntries(['typeorm', '@aws-crypto/material-management-node'].map((name) => [name, dependencies[name]])),
  '@opentelemetry/api': '^1.0.0',
};
const files = (name) => ({ types: `./${name}/index.d.ts`, default: `./${name}/index.js` });

fs.rmSync(target, { recursive: true, force: true });
for (const library of LIBRARIES)
  fs.cpSync(path.join(root, 'dist', 'libs', library), path.join(target, library), {
    recursive: true,
    filter: (file) => !/\/test$|\/test\/|\.map$|\/test-[^/]+$/.test(file),
  });
emitTypes();
for (const name of ['LICENSE', 'docs/sdk.md', 'docs/formats.md'])
  fs.copyFileSync(path.join(root, name), path.join(target, path.basename(name)));
fs.renameSync(path.join(target, 'sdk.md'), path.join(target, 'README.md'));
fs.writeFileSync(
  path.join(target, 'package.json'),
  `${JSON.stringify(
    {
      ...{ name: '@keyward/sdk', version, license, type: 'module', engines: { node: '>=22' } },
      description: 'Encrypt data for your customers under keys that they hold: the client of Keyward.',
      imports: { '#*': files('*') },
      exports: Object.fromEntries(Object.entries(ENTRIES).map(([entry, folder]) => [entry, files(folder)])),
      dependencies: { zod: dependencies.zod },
      peerDependencies: OPTIONAL,
      peerDependenciesMeta: Object.fromEntries(Object.keys(OPTIONAL).map((name) => [name, { optional: true }])),
    },
    undefined,
    2,
  )}\n`,
);
process.stdout.write(`${target}\n`);

function emitTypes() {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const own = path.join(target, 'tsconfig.json');
  const compilerOptions = { noEmit: false, declaration: true, emitDeclarationOnly: true, outDir: target, rootDir: path.join(root, 'libs') };
  const include = Object.values(ENTRIES).map((folder) => path.join(root, 'libs', folder, 'index.ts'));
  fs.writeFileSync(own, JSON.stringify({ extends: path.join(root, 'tsconfig.json'), compilerOptions, include: [], files: include }));
  const { status } = spawnSync(process.execPath, [tsc, '-p', own], { stdio: ['ignore', 2, 2], cwd: root });
  fs.rmSync(own);
  if (status !== 0) process.exit(1);
}
