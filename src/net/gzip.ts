import { constants, createGzip, type Gzip, gunzipSync, type ZlibReset } from 'node:zlib';

/** zlib's output comes in pieces of this size: larger ones cost memory, smaller ones a trip to its thread each. */
const chunkSize = 128 * 1024;
/** Engines kept for the next body; another one is made where several bodies come at once. */
const enginesKept = 1;

/**
 * What a gzip body holds. It is written into one piece of memory of the length that the body itself tells in its last four
 * bytes, so nothing is put together or copied; a body that lies is decompressed all the same. In this thread: a page takes
 * about as long as handing it to another one and back. @throws zlib's error, with code ERR_BUFFER_TOO_LARGE where more
 * than `maxBytes` would come of it
 */
export function gunzip(body: Buffer, maxBytes: number): Buffer {
  const told = body.length < 4 ? 0 : body.readUInt32LE(body.length - 4);
  return gunzipSync(body, {
    chunkSize: Math.min(Math.max(told, chunkSize), maxBytes),
    maxOutputLength: maxBytes,
  });
}

/**
 * Gives what compresses one whole body after the other, in zlib's own thread; the input must stay as it is until then.
 * zlib's functions for whole buffers make an engine for each, and such an engine survives every collection but a full
 * one, with its input and output: engines that are used again keep memory low, and save their making.
 *
 * @param level of zlib, 1 to 9
 */
export function gzipper(level: number): (body: Buffer) => Promise<Buffer> {
  const idle: Engine[] = [];
  return async (body) => {
    const engine = idle.pop() ?? new Engine(level);
    const result = await engine.turn(body);
    if (idle.length < enginesKept) idle.push(engine);
    else engine.close();
    return result;
  };
}

/** One zlib stream that is reset before each body. One that has failed is not used again. */
class Engine {
  readonly #stream: Gzip & ZlibReset;
  #pieces: Buffer[] = [];
  #fail: (error: Error) => void = () => {};

  constructor(level: number) {
    // Each body is a whole stream: it is finished with its last byte. Its type does not say so, but gzip is deflate with a
    // head and a tail.
    this.#stream = createGzip({ chunkSize, flush: constants.Z_FINISH, level }) as Gzip & ZlibReset;
    this.#stream.on('data', (piece: Buffer) => this.#pieces.push(piece));
    this.#stream.on('error', (error) => this.#fail(error));
  }

  /** Not to be called again before it has resolved, nor after it has rejected. */
  turn(body: Buffer): Promise<Buffer> {
    const stream = this.#stream;
    return new Promise<Buffer>((resolve, reject) => {
      this.#fail = (error) => {
        this.close();
        reject(error);
      };
      stream.reset();
      stream.write(body, (error) => {
        if (error) return this.#fail(error);
        while (stream.read() !== null); // what was not told yet becomes a piece as well
        // A copy: the pieces of several bodies share their memory.
        const result = Buffer.concat(this.#pieces);
        this.#forget();
        resolve(result);
      });
    });
  }

  close(): void {
    this.#forget();
    this.#stream.close();
  }

  #forget(): void {
    this.#pieces = [];
    this.#fail = () => {};
  }
}
