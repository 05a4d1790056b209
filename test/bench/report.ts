import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Chart, svgOf } from './chart.js';

const result = z.looseObject({
  name: z.string(),
  value: z.number(),
  unit: z.string(),
  baseline: z.number().optional(),
  ratio: z.number().optional(),
  p50Ms: z.number().optional(),
  p99Ms: z.number().optional(),
  cpuUsPerOp: z.number().optional(),
  size: z.int().optional(),
  inAll: z.int().optional(),
  kills: z.int().optional(),
  machine: z.string().optional(),
});
type Figure = z.infer<typeof result>;

/** What each curve's sizes count. */
const CURVES: Readonly<Record<string, string>> = {
  'growth-tenants': 'tenants',
  'growth-keys': 'keys of one tenant',
  'growth-records': 'records in the log',
  'growth-batches': 'items in a batch',
  'growth-connections': 'connections',
};
const RESULTS = 'results.json';

/** Writes `benchmarks.md`, its charts and the figures they were made from into `docs`, out of what `--json` printed into `files`. */
export function writeReport(docs: string, files: readonly string[]): void {
  const figures = files.flatMap((file) => z.array(result).parse(JSON.parse(readFileSync(file, 'utf8'))));
  const folder = join(docs, 'benchmarks');
  const { page, charts } = reportOf(figures);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, RESULTS), `${JSON.stringify(figures, null, 2)}\n`);
  for (const [name, svg] of charts) writeFileSync(join(folder, `${name}.svg`), svg);
  writeFileSync(join(docs, 'benchmarks.md'), page);
}

/** The page, and its charts by their names. */
export function reportOf(figures: readonly Figure[]): { readonly page: string; readonly charts: ReadonlyMap<string, string> } {
  const curves = Object.keys(CURVES).filter((name) => figures.some((figure) => figure.name === name));
  const charts = new Map(curves.map((name) => [name, svgOf(chartOf(name, figures))]));
  const machines = [...new Set(figures.map(({ machine }) => machine ?? 'not told'))];
  const plain = figures.filter(({ name }) => !curves.includes(name));
  return {
    charts,
    page: [
      HEAD,
      ...machines.map((machine) => `- ${machine}`),
      tableOf(plain),
      ...curves.map((name) => sectionOf(name, figures)),
      TAIL,
    ].join('\n'),
  };
}

const HEAD = `# Benchmarks

This page is made by \`npm run bench -- --report FILES\` from what \`npm run bench -- … --json\` printed; its figures are in [benchmarks/${RESULTS}](benchmarks/${RESULTS}). A figure stands beside its own baseline of the same run, and the ratio is what to compare: the figures themselves are those of a machine. A load average above the number of cores says that it had other work: even ratios are rough then.

Measured on:
`;

const TAIL = `## To run it again

\`\`\`sh
npm run bench -- --json > all.json                                   # every benchmark; name some to run only those
npm run bench -- growth --json > growth.json                         # the curves, small: a few minutes
npm run bench -- growth --part tenants --to 1000 --json > tenants.json
npm run bench -- growth --part keys --to 100000 --json > keys.json
npm run bench -- growth --part records --to 1000000 --json > records.json
npm run bench -- --report all.json growth.json
\`\`\`

\`--seconds\` is how long each measurement takes (8). The ends are long runs, for a machine that does nothing else: \`--part tenants --to 10000\` (each tenant is onboarded through the API, with a root and a log key in the HSM: a quarter of a second each or more) and \`--part records --to 10000000\` (records are appended as a data plane appends them, and take about a kilobyte of disk each). With \`--part keys\` every key is born in the HSM through the API, at most 300 a second.

\`rewrap\` moves a million data keys (\`KEYWARD_BENCH_REWRAP_ITEMS\`), which takes five to fifteen minutes: figures are those of the first half; in the second ten processes are killed by kill -9, one after the other, and at the end each data key must be under the new version, written back once, counted and certified. \`rotation\` has a thousand keys of one tenant due at once (\`KEYWARD_BENCH_DUE_KEYS\`; needs libfaketime, fetched on Debian).
`;

function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, unit, inAll, kills, baseline = '', ratio = '', p50Ms = '', p99Ms = '', cpuUsPerOp = '' }) =>
    [
      `\`${name}\``,
      [`${value} ${unit}`, inAll && `${inAll} in all`, kills && `${kills} kills survived`].filter(Boolean).join('; '),
      baseline,
      ratio,
      p50Ms,
      p99Ms,
      cpuUsPerOp,
    ].join(' | '),
  );
  return [
    '',
    '| | figure | baseline | ratio | p50 ms | p99 ms | µs of CPU an operation |',
    '|---|---|---|---|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
    '',
  ].join('\n');
}

function sectionOf(name: string, figures: readonly Figure[]): string {
  const points = figures.filter((figure) => figure.name === name);
  const rows = points.map(
    ({ size, value, unit, ratio = '', p50Ms = '', p99Ms = '' }) => `| ${size} | ${value} ${unit} | ${ratio} | ${p50Ms} | ${p99Ms} |`,
  );
  const head = [`## By ${CURVES[name]}`, '', `![${name}](benchmarks/${name}.svg)`, ''];
  return [...head, `| ${CURVES[name]} | figure | of the first | p50 ms | p99 ms |`, '|---|---|---|---|---|', ...rows, ''].join('\n');
}

function chartOf(name: string, figures: readonly Figure[]): Chart {
  const points = figures.filter((figure) => figure.name === name);
  return {
    ...{ title: name, sizes: CURVES[name] ?? '', unit: points[0]?.unit ?? '' },
    points: points.map(({ size = 1, value }) => ({ size, value })),
  };
}
