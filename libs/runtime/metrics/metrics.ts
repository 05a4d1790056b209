/** What a sample is told apart by. No tenant, key or person: whoever scrapes is no auditor, and each value is a series for ever. */
export type Labels = Readonly<Partial<Record<'operation' | 'status' | 'outcome' | 'process' | 'version', string>>>;

export interface Counter {
  add(labels: Labels, by?: number): void;
}
export interface Histogram {
  observe(labels: Labels, value: number): void;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** `name{labels} value`, of now. */
  samples(): Promise<readonly string[]> | readonly string[];
}

/** The metrics of one process, as Prometheus reads them (text exposition format 0.0.4). */
export class Metrics {
  readonly #families: Family[] = [];

  counter(name: string, help: string): Counter {
    const series = new Map<string, { readonly labels: Labels; value: number }>();
    const samples = () => [...series.values()].map(({ labels, value }) => `${name}${written(labels)} ${value}`);
    this.#families.push({ name, help, type: 'counter', samples });
    return {
      add: (labels, by = 1) => {
        seriesOf(series, labels, () => ({ labels, value: 0 })).value += by;
      },
    };
  }

  /** A gauge, or a counter that somebody else keeps: asked at each scrape; what cannot be told is left out. */
  read(type: 'gauge' | 'counter', name: string, help: string, read: () => number | Promise<number>, labels: Labels = {}): void {
    const samples = async () => {
      const value = await (async () => read())().catch(() => undefined);
      return value === undefined ? [] : [`${name}${written(labels)} ${value}`];
    };
    this.#families.push({ name, help, type, samples });
  }

  /** `bounds`: upper ends of the buckets, rising. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const series = new Map<string, { readonly labels: Labels; readonly buckets: number[]; sum: number; count: number }>();
    const samples = () =>
      [...series.values()].flatMap(({ labels, buckets, sum, count }) => [
        ...bounds.map((bound, at) => `${name}_bucket${written(labels, `le="${bound}"`)} ${buckets[at]}`),
        ...[
          `${name}_bucket${written(labels, 'le="+Inf"')} ${count}`,
          `${name}_sum${written(labels)} ${sum}`,
          `${name}_count${written(labels)} ${count}`,
        ],
      ]);
    this.#families.push({ name, help, type: 'histogram', samples });
    return {
      observe: (labels, value) => {
        const one = seriesOf(series, labels, () => ({ labels, buckets: bounds.map(() => 0), sum: 0, count: 0 }));
        for (let at = bounds.length - 1; at >= 0 && value <= bounds[at]!; at--) one.buckets[at]! += 1;
        one.sum += value;
        one.count += 1;
      },
    };
  }

  async text(): Promise<string> {
    const families = await Promise.all(
      this.#families.map(async ({ name, help, type, samples }) => [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...(await samples()),
      ]),
    );
    return families.flatMap((lines) => lines.map((line) => `${line}\n`)).join('');
  }
}

/** Found for every answer: labels are written out only when somebody asks. */
function seriesOf<Series>(series: Map<string, Series>, labels: Labels, made: () => Series): Series {
  const { operation = '', status = '', outcome = '', process = '', version = '' } = labels;
  const key = `${operation}\n${status}\n${outcome}\n${process}\n${version}`;
  const known = series.get(key);
  if (known !== undefined) return known;
  const one = made();
  series.set(key, one);
  return one;
}

/** `{operation="Encrypt"}`, or nothing. */
function written(labels: Labels, ...more: readonly string[]): string {
  const pairs = [...Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`), ...more];
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escaped = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
