import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decompress } from '../../src/source/gunzip.ts';

const most = 1024 ** 2;

/** The same stream with another word about its length. */
function telling(length: number, stream: Buffer): Buffer {
  const told = Buffer.from(stream);
  told.writeUInt32LE(length, told.length - 4);
  return told;
}

describe('decompressing a page', () => {
  it('gives back what was compressed, in one piece or several', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (bytes) => {
        expect(await decompress(gzipSync(bytes), most)).toEqual(Buffer.from(bytes));
      }),
    );
    const two = Buffer.concat([gzipSync('one, '), gzipSync('two')]);
    expect(String(await decompress(two, most))).toBe('one, two');
  });

  it('takes what is larger than one piece of memory', async () => {
    const large = Buffer.alloc(9 * 1024 ** 2, 'audit');
    expect((await decompress(gzipSync(large), large.length)).equals(large)).toBe(true);
  });

  it.each([0, 1, 2 ** 31, 2 ** 32 - 1])(
    'fails where the stream says that it holds %d bytes and lies',
    async (length) => {
      await expect(decompress(telling(length, gzipSync('some text')), most)).rejects.toThrow(/incorrect length/);
    },
  );

  it('stops at the bound, whatever the stream says of its length', async () => {
    const bomb = gzipSync(Buffer.alloc(2 * most));
    for (const stream of [bomb, telling(0, bomb), telling(7, bomb)])
      await expect(decompress(stream, most)).rejects.toMatchObject({ code: 'ERR_BUFFER_TOO_LARGE' });
  });

  it('fails where nothing came, or too little', async () => {
    await expect(decompress(Buffer.alloc(0), most)).rejects.toThrow();
    await expect(decompress(gzipSync('cut off').subarray(0, 10), most)).rejects.toThrow();
  });
});
