import { constants, createGunzip, createGzip, type Gunzip, type Gzip, type ZlibReset } from 'node:zlib';

/** Turns one whole body into another, in zlib's own thread; the input must stay as it is until then. */
export type Turn = (body: Buffer) => Promise<Buffer>;

/** zlib's output comes in pieces of this size: larger ones cost memory, smaller ones a trip to its thread each. */
const chunkSize = 128 * 1024;
/** Engines kept for the next body; another one is made where several bodies come at once. */
const enginesKept = 1;

/** Each body is a whole stream: it is finished with its last byte, and one that is cut off is an error. */
const whole = { chunkSize, flush: constants.Z_FINISH };

/** @param level of zlib, 1 to 9 */
export function gzipper(level: number): Turn {
  return kept(() => createGzip({ ...whole, level }), Number.POSITIVE_INFINITY);
}

/** Rejects with zlib's error, or with code ERR_BUFFER_TOO_LARGE where more than `maxBytes` would come of a body. */
export function gunzipper(maxBytes: number): Turn {
  return kept(() => createGunzip(whole), maxBytes);
}

/**
 * zlib's functions for whole buffers make an engine for each, and such an engine survives every collection but a full
 * one, with its input and output: engines that are used again keep memory low, and save their making.
 */
function kept(create: () => Gzip | Gunzip, maxBytes: number): Turn {
  const idle: Engine[] = [];
  return async (body) => {
    const engine = idle.pop() ?? new Engine(create(), maxBytes);
    const result = await engine.turn(body);
    if (engine.isGood && idle.length < enginesKept) idle.push(engine);
    else engine.close();
    return result;
  };
}

/** One zlib stream that is reset before each body. One that has failed is not used again. */
class Engine {
  readonly #stream: (Gzip | Gunzip) & ZlibReset;
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #length = 0;
  #fail: (error: Error) => void = () => {};
  #isGood = true;

  constructor(stream: Gzip | Gunzip, maxBytes: number) {
    // Its type does not say so, but gzip is deflate with a head and a tail.
    this.#stream = stream as (Gzip | Gunzip) & ZlibReset;
    this.#maxBytes = maxBytes;
    stream.on('data', (piece: Buffer) => this.#take(piece));
    stream.on('error', (error) => this.#fail(error));
  }

  get isGood(): boolean {
    return this.#isGood;
  }

  /** Not to be called again before it has resolved, nor after it has rejected. */
  turn(body: Buffer): Promise<Buffer> {
    const stream = this.#stream;
    const readBefore = stream.bytesWritten;
    return new Promise<Buffer>((resolve, reject) => {
      this.#fail = (error) => {
        this.#isGood = false;
        this.close();
        reject(error);
      };
      stream.reset();
      stream.write(body, (error) => {
        if (error) return this.#fail(error);
        while (stream.read() !== null); // what was not told yet goes to `#take` as well
        // zlib lets what follows a stream's end lie, and is then done for good.
        if (stream.bytesWritten - readBefore !== body.length) this.#isGood = false;
        // A copy: the pieces of several bodies share their memory.
        resolve(Buffer.concat(this.#pieces, this.#length));
        this.#forget();
      });
    });
  }

  close(): void {
    this.#forget();
    this.#stream.close();
  }

  #take(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length <= this.#maxBytes) return;
    this.#fail(
      Object.assign(new Error(`it holds more than ${this.#maxBytes} bytes`), { code: 'ERR_BUFFER_TOO_LARGE' }),
    );
  }

  #forget(): void {
    this.#pieces = [];
    this.#length = 0;
    this.#fail = () => {};
  }
}
