import { freePort } from './free-port.js';

export interface PlatformPorts {
  readonly postgres: number;
  readonly keyPlane: number;
  readonly dataPlanes: readonly number[];
  readonly auditor: number;
  readonly worker: number;
}

const FIXED = { postgres: 7705, keyPlane: 7710, dataPlane: 7720, auditor: 7730, worker: 7740 } as const;
const MOST_DATA_PLANES = 10;

/**
 * The ports of a platform: the documented ones (data planes count up from 7720), or free ones.
 * @throws RangeError for more data planes than there are ports between two documented ones
 */
export async function choosePorts(kind: 'fixed' | 'free', dataPlanes: number): Promise<PlatformPorts> {
  if (dataPlanes < 1 || dataPlanes > MOST_DATA_PLANES) throw new RangeError(`Between 1 and ${MOST_DATA_PLANES} data planes, please.`);
  const counting = Array.from({ length: dataPlanes }, (_, index) => index);
  if (kind === 'fixed') return { ...FIXED, dataPlanes: counting.map((index) => FIXED.dataPlane + index) };
  const [postgres, keyPlane, auditor, worker, ...rest] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
    ...counting.map(freePort),
  ]);
  return { postgres, keyPlane, auditor, worker, dataPlanes: rest };
}
