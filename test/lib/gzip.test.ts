import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gunzipper, gzipper } from '../../src/lib/gzip.ts';

const most = 1024 ** 2;
const text = (body: Buffer) => body.toString('latin1');

/** Bytes that no level can make much shorter. */
const noise = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * i * 31 + (i >> 3)) & 0xff));

describe('bodies compressed one after the other', () => {
  const gzip = gzipper(1);

  it('are each what zlib itself would make of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (bytes) => {
        expect(text(gunzipSync(await gzip(Buffer.from(bytes))))).toBe(text(Buffer.from(bytes)));
      }),
    );
    const large = noise(3 * most);
    expect(await gzip(large)).toEqual(gzipSync(large, { level: 1, chunkSize: 128 * 1024 }));
  });

  it('are not mixed up if several come at once', async () => {
    const bodies = Array.from({ length: 20 }, (_, i) => noise(i * 40_000));
    const packed = await Promise.all(bodies.map((body) => gzip(body)));
    expect(
      packed.map((body) => text(gunzipSync(body)) === text(bodies[packed.indexOf(body)] ?? noise(1))),
    ).not.toContain(false);
  });
});

describe('bodies decompressed one after the other', () => {
  const gunzip = gunzipper(most);

  it('are given back whole, though they came as several streams', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 4 }), async (parts) => {
        const streams = Buffer.concat(parts.map((part) => gzipSync(part)));
        expect(text(await gunzip(streams))).toBe(text(Buffer.concat(parts)));
      }),
    );
  });

  it('come out as long as the bound, and not longer', async () => {
    expect(await gunzip(gzipSync(Buffer.alloc(most, 'x')))).toHaveLength(most);
    for (const length of [most + 1, 50 * most])
      await expect(gunzip(gzipSync(Buffer.alloc(length)))).rejects.toMatchObject({ code: 'ERR_BUFFER_TOO_LARGE' });
    expect(text(await gunzip(gzipSync('after it')))).toBe('after it');
  });

  it('fail wherever they are cut off, and the next is none the worse', async () => {
    const good = gzipSync(noise(500));
    for (let length = 0; length < good.length; length++) {
      await expect(gunzip(good.subarray(0, length)), `cut at ${length}`).rejects.toThrow();
      expect((await gunzip(good)).equals(noise(500))).toBe(true);
    }
  });

  it('fail wherever a byte is changed, or return the same text', async () => {
    const original = noise(200);
    const good = gzipSync(original);
    for (let at = 0; at < good.length; at++) {
      const flipped = Buffer.from(good);
      flipped[at] = (flipped[at] ?? 0) ^ 0x55;
      const came = await gunzip(flipped).catch(() => original);
      expect(came.equals(original), `byte ${at}`).toBe(true);
    }
  });

  it('may be followed by zeros, which are no part of them', async () => {
    const padded = Buffer.concat([gzipSync('padded'), Buffer.alloc(300)]);
    expect(text(await gunzip(padded))).toBe('padded');
    expect(text(await gunzip(padded))).toBe('padded');
    await expect(gunzip(Buffer.concat([gzipSync('dirty'), Buffer.from('xyz')]))).rejects.toThrow();
    expect(text(await gunzip(gzipSync('clean')))).toBe('clean');
  });

  it('are not mixed up if several come at once, broken ones among them', async () => {
    const bodies = Array.from({ length: 30 }, (_, i) => noise(1 + i * 20_000));
    const results = await Promise.allSettled(
      bodies.map((body, i) => gunzip(i % 3 === 0 ? gzipSync(body).subarray(0, -1) : gzipSync(body))),
    );
    for (const [i, result] of results.entries()) {
      if (i % 3 === 0) expect(result.status, String(i)).toBe('rejected');
      else expect(result.status === 'fulfilled' && result.value.equals(bodies[i] ?? noise(1)), String(i)).toBe(true);
    }
  });
});
