import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

const inflate = promisify(gunzip);

/** A gzip stream ends with the length of what it holds, modulo 2^32, little-endian (RFC 1952 section 2.3.1). */
const trailerBytes = 4;
/** zlib stops when its output is full: one byte of room shows that nothing follows. */
const roomBytes = 1;
const pieceBytes = { least: 1024, most: 4 * 1024 ** 2 };

/**
 * Decompresses `body`, of which at most `maxBytes` may come. Memory of the length that the body itself tells is taken at
 * once, within bounds, as it may lie: a page then takes one trip to zlib's thread instead of one for every 16 KiB.
 * @throws zlib's error, or one with the code ERR_BUFFER_TOO_LARGE
 */
export function decompress(body: Buffer, maxBytes: number): Promise<Buffer> {
  const told = body.length < trailerBytes ? 0 : body.readUInt32LE(body.length - trailerBytes);
  const chunkSize = Math.min(Math.max(told + roomBytes, pieceBytes.least), pieceBytes.most);
  return inflate(body, { maxOutputLength: maxBytes, chunkSize });
}
