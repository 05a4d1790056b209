import { FrameReader } from './frames.js';
import { MAX_FRAME_BYTES } from './wire.js';

const frame = (content: string | Buffer) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, Buffer.from(content)]);
};
const reading = () => {
  const got: string[] = [];
  return { got, reader: new FrameReader((content) => got.push(content.toString())) };
};

describe('the frame reader', () => {
  const stream = Buffer.concat([frame('one'), frame(''), frame('three'), frame('x'.repeat(300))]);
  const want = ['one', '', 'three', 'x'.repeat(300)];

  it.each([1, 2, 3, 7, 64, 1000])('finds frames in pieces of %i bytes', (size) => {
    const { got, reader } = reading();
    for (let at = 0; at < stream.length; at += size) reader.push(Buffer.from(stream.subarray(at, at + size)));
    expect(got).toEqual(want);
  });

  it('wipes what it was given', () => {
    const bytes = Buffer.from(stream);
    reading().reader.push(bytes);
    expect(bytes.equals(Buffer.alloc(stream.length))).toBe(true);
  });

  it('wipes even when the handler throws', () => {
    const bytes = Buffer.from(stream);
    const reader = new FrameReader(() => {
      throw new Error('no');
    });
    expect(() => reader.push(bytes)).toThrow('no');
    expect(bytes.equals(Buffer.alloc(stream.length))).toBe(true);
  });

  it('wipes half a frame when its connection ends', () => {
    const copies = jest.spyOn(Buffer, 'from');
    const { got, reader } = reading();
    reader.push(frame('a data key').subarray(0, 12));
    const kept = copies.mock.results.map(({ value }): unknown => value).at(-1) as Buffer;
    copies.mockRestore();
    expect(kept.toString('latin1')).toContain('a data');
    reader.wipe();
    expect(kept.equals(Buffer.alloc(12))).toBe(true);
    reader.push(frame('another'));
    expect(got).toEqual(['another']);
  });

  it('takes a frame of 64 KiB, and not a byte more', () => {
    const { got, reader } = reading();
    reader.push(frame(Buffer.alloc(MAX_FRAME_BYTES, 'y')));
    expect(got[0]?.length).toBe(MAX_FRAME_BYTES);
    expect(() => reader.push(Buffer.from('00010001', 'hex'))).toThrow(RangeError);
  });
});
