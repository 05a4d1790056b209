import { svgOf } from './chart.js';
import { reportOf } from './report.js';

const growth = [1, 10, 100].map((size) => ({
  name: 'growth-tenants',
  value: 2 + size / 100,
  unit: 'ms (p99)',
  size,
  machine: 'a machine',
}));

describe('the page of the benchmarks', () => {
  it('has a row for each figure, a chart for each curve, and names the machine', () => {
    const { page, charts } = reportOf([
      { name: 'rewrap', value: 3000, unit: 'EDKs/s', inAll: 1_000_000, kills: 10 },
      { name: 'batch-decrypt', value: 40_000, unit: 'items/s', baseline: 35_000, ratio: 1.143 },
      ...growth,
    ]);
    expect(page).toContain('| `batch-decrypt` | 40000 items/s | 35000 | 1.143 |');
    expect(page).toContain('| `rewrap` | 3000 EDKs/s; 1000000 in all; 10 kills survived |');
    expect(page).toContain('![growth-tenants](benchmarks/growth-tenants.svg)');
    expect(page).toContain('- a machine');
    expect([...charts.keys()]).toEqual(['growth-tenants']);
  });

  it('draws every point inside its picture, also a single one', () => {
    for (const points of [growth.map(({ size, value }) => ({ size, value })), [{ size: 5, value: 0 }]]) {
      const svg = svgOf({ title: 'a < b & c', sizes: 'tenants', unit: 'ms', points });
      expect(svg).toContain('a &lt; b &amp; c');
      const circles = [...svg.matchAll(/cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y)]);
      expect(circles).toHaveLength(points.length);
      for (const [x, y] of circles) expect(x! > 0 && x! < 560 && y! > 0 && y! < 260).toBe(true);
    }
  });
});
