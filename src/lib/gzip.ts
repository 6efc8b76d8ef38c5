import { constants, createGunzip, createGzip, type Gunzip, type Gzip, type ZlibReset } from 'node:zlib';

/** Compresses or decompresses one whole body on zlib's thread; the input must not change until it resolves. */
export type BodyTransform = (body: Buffer) => Promise<Buffer>;

/** Size of zlib's output pieces, bytes: larger ones cost memory, smaller ones a round trip to its thread each. */
const chunkSize = 128 * 1024;
/** Idle engines that stay for the next body; more are created if several bodies come at once. */
const MAX_IDLE_ENGINES = 1;

/** Each body is a whole stream: it is finished with its last byte, and one that is cut off is an error. */
const whole = { chunkSize, flush: constants.Z_FINISH };

/** @param level of zlib, 1 to 9 */
export function gzipper(level: number): BodyTransform {
  return pooled(() => createGzip({ ...whole, level }), Number.POSITIVE_INFINITY);
}

/** Rejects with zlib's error, or with code ERR_BUFFER_TOO_LARGE if a body decompresses to more than `maxBytes`. */
export function gunzipper(maxBytes: number): BodyTransform {
  return pooled(() => createGunzip(whole), maxBytes);
}

/**
 * zlib's functions for whole buffers create an engine for each body, and such an engine survives every garbage collection
 * but a full one, with its input and output: engines that are used again keep memory low.
 */
function pooled(create: () => Gzip | Gunzip, maxBytes: number): BodyTransform {
  const idle: Engine[] = [];
  return async (body) => {
    const engine = idle.pop() ?? new Engine(create(), maxBytes);
    const result = await engine.run(body);
    if (engine.isReusable && idle.length < MAX_IDLE_ENGINES) idle.push(engine);
    else engine.close();
    return result;
  };
}

/** One zlib stream that is reset before each body. After an error it is not used again. */
class Engine {
  readonly #stream: (Gzip | Gunzip) & ZlibReset;
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #length = 0;
  #fail: (error: Error) => void = () => {};
  #isReusable = true;

  constructor(stream: Gzip | Gunzip, maxBytes: number) {
    // The type does not say so, but gzip is deflate with a header and a trailer, and has its reset.
    this.#stream = stream as (Gzip | Gunzip) & ZlibReset;
    this.#maxBytes = maxBytes;
    stream.on('data', (piece: Buffer) => this.#add(piece));
    stream.on('error', (error) => this.#fail(error));
  }

  get isReusable(): boolean {
    return this.#isReusable;
  }

  /** One body at a time, and none after a rejection. */
  run(body: Buffer): Promise<Buffer> {
    const stream = this.#stream;
    const readBefore = stream.bytesWritten;
    return new Promise<Buffer>((resolve, reject) => {
      this.#fail = (error) => {
        this.#isReusable = false;
        this.close();
        reject(error);
      };
      stream.reset();
      stream.write(body, (error) => {
        if (error) return this.#fail(error);
        // What was not emitted yet is emitted by these reads.
        while (stream.read() !== null);
        // zlib leaves bytes behind a stream's end unread, and the stream can't be used again.
        if (stream.bytesWritten - readBefore !== body.length) this.#isReusable = false;
        // A copy: the pieces of several bodies share their memory.
        resolve(Buffer.concat(this.#pieces, this.#length));
        this.#clear();
      });
    });
  }

  close(): void {
    this.#clear();
    this.#stream.close();
  }

  #add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length <= this.#maxBytes) return;
    this.#fail(
      Object.assign(new Error(`the body is larger than ${this.#maxBytes} bytes`), { code: 'ERR_BUFFER_TOO_LARGE' }),
    );
  }

  #clear(): void {
    this.#pieces = [];
    this.#length = 0;
    this.#fail = () => {};
  }
}
