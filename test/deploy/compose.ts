import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { unpackedPackages } from '#runtime';
import { z } from 'zod';

/** Debian 12's Compose 1.29 and all that it imports, for who may not install it. */
const PACKAGES = [
  ...[
    'docker-compose',
    'python3-docker',
    'python3-dockerpty',
    'python3-docopt',
    'python3-dotenv',
    'python3-jsonschema',
    'python3-requests',
  ],
  ...['python3-texttable', 'python3-websocket', 'python3-yaml', 'python3-cached-property', 'python3-distro', 'python3-distutils'],
  ...['python3-lib2to3', 'python3-urllib3', 'python3-idna', 'python3-chardet', 'python3-certifi', 'python3-six', 'python3-attr'],
  ...['python3-pyrsistent', 'python3-pkg-resources', 'python3-more-itertools'],
];
const PYTHON = '/usr/bin/python3';

const texts = z.array(z.string());
const service = z.object({
  image: z.string(),
  user: z.string().optional(),
  read_only: z.boolean().default(false),
  cap_drop: texts.default([]),
  network_mode: z.string().optional(),
  networks: z.record(z.string(), z.unknown()).default({}),
  command: texts.default([]),
  entrypoint: texts.default([]),
  environment: z.record(z.string(), z.string().nullable()).default({}),
  ports: texts.default([]),
  /** `source:target:mode`; a source without a slash is a volume. */
  volumes: texts.default([]),
  healthcheck: z.object({ test: texts }).optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.enum(['service_healthy', 'service_completed_successfully']) })).default({}),
});
export type Service = z.infer<typeof service>;
const composition = z.object({ services: z.record(z.string(), service) });

/** `docker-compose config`: checks a file without a daemon, and resolves it. */
export class Compose {
  private constructor(private readonly packages: string | undefined) {}

  /** @throws Error where it cannot be had: a file that nobody checked proves nothing */
  static async found(): Promise<Compose> {
    if (existsSync('/usr/bin/docker-compose')) return new Compose(undefined);
    return new Compose(join(await unpackedPackages('docker-compose', PACKAGES), 'usr', 'lib', 'python3', 'dist-packages'));
  }

  /** What Compose says of a file: its exit code, and the resolved file or the complaint. */
  check(file: string, env: Readonly<Record<string, string>>): { readonly exit: number | null; readonly said: string } {
    // Not the checkout's own .env, which is its owner's.
    const settings = join(mkdtempSync(join(tmpdir(), 'kw-env-')), 'env');
    writeFileSync(
      settings,
      Object.entries(env)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    );
    const options = ['--file', file, '--env-file', settings, '--profile', 'redis', '--profile', 'cli', '--profile', 'backup'];
    const run = ['-c', 'from compose.cli.main import main; main()', ...options, 'config'];
    const { status, stdout, stderr } = this.#python(run);
    rmSync(dirname(settings), { recursive: true });
    return { exit: status, said: status === 0 ? stdout : stderr };
  }

  /** The services of a file, by name. @throws Error with the complaint */
  services(file: string, env: Readonly<Record<string, string>>): Record<string, Service> {
    const { exit, said } = this.check(file, env);
    if (exit !== 0) throw new Error(said);
    const { stdout } = this.#python(['-c', 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)'], said);
    return composition.parse(JSON.parse(stdout)).services;
  }

  #python(args: readonly string[], input = '') {
    const path = this.packages === undefined ? {} : { PYTHONPATH: this.packages };
    return spawnSync(PYTHON, [...args], { input, encoding: 'utf8', env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', ...path } });
  }
}
