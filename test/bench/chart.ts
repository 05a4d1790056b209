/** One curve over sizes that grow by tens. */
export interface Chart {
  readonly title: string;
  /** What the horizontal axis counts. */
  readonly sizes: string;
  readonly unit: string;
  readonly points: readonly { readonly size: number; readonly value: number }[];
}

const WIDTH = 560;
const HEIGHT = 260;
const EDGE = { left: 70, right: 20, top: 40, bottom: 46 } as const;

/** An SVG of a curve: sizes on a logarithmic scale, values from zero, each point with its figure. @throws RangeError without points */
export function svgOf({ title, sizes, unit, points }: Chart): string {
  if (points.length === 0) throw new RangeError(`${title} has no points.`);
  const x = logarithmic(points.map(({ size }) => size));
  const top = Math.max(...points.map(({ value }) => value), Number.MIN_VALUE);
  const bottom = HEIGHT - EDGE.bottom;
  const places = points.map(({ size, value }) => ({ size, value, x: x(size), y: bottom - (value / top) * (bottom - EDGE.top) }));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(WIDTH / 2, 20, title, 'middle', 14),
    `<path d="M${EDGE.left} ${EDGE.top}V${bottom}H${WIDTH - EDGE.right}" fill="none" stroke="#888"/>`,
    text(EDGE.left - 8, EDGE.top + 4, `${top}`, 'end'),
    text(EDGE.left - 8, bottom + 4, '0', 'end'),
    text(12, (EDGE.top + bottom) / 2, unit, 'start'),
    text((EDGE.left + WIDTH) / 2, HEIGHT - 8, sizes, 'middle'),
    `<polyline points="${places.map((at) => `${rounded(at.x)},${rounded(at.y)}`).join(' ')}" fill="none" stroke="#2463a8" stroke-width="2"/>`,
    ...places.flatMap((at) => [
      `<circle cx="${rounded(at.x)}" cy="${rounded(at.y)}" r="3.5" fill="#2463a8"/>`,
      text(at.x, at.y - 8, `${at.value}`, 'middle'),
      text(at.x, bottom + 18, at.size.toLocaleString('en'), 'middle'),
    ]),
    '</svg>\n',
  ].join('\n');
}

function logarithmic(sizes: readonly number[]): (size: number) => number {
  const [low, high] = [Math.log10(Math.min(...sizes)), Math.log10(Math.max(...sizes))];
  const [from, width] = [EDGE.left + 40, WIDTH - EDGE.left - EDGE.right - 80];
  return (size) => (high === low ? from + width / 2 : from + ((Math.log10(size) - low) / (high - low)) * width);
}

const text = (x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end', size = 12) =>
  `<text x="${rounded(x)}" y="${rounded(y)}" text-anchor="${anchor}" font-size="${size}">${escaped(content)}</text>`;
const escaped = (content: string) => content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const rounded = (value: number) => Number(value.toFixed(1));
