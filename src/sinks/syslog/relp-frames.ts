/** A RELP frame: `TXNR SP COMMAND SP DATALEN [SP DATA] LF`. */
export interface RelpFrame {
  /** 1 to 999,999,999; 0 for hints from the server. */
  readonly transaction: number;
  readonly command: string;
  readonly data: Buffer;
}

export const maxTransaction = 999_999_999;
/** A response is a line or two: more than this is not RELP. */
const maxData = 128 * 1024;
const lineFeed = 0x0a;

/** Without data a frame has neither the space nor the data. */
export function relpFrame(transaction: number, command: string, data: Buffer): Buffer {
  const head = `${transaction} ${command} ${data.length}`;
  if (data.length === 0) return Buffer.from(`${head}\n`, 'latin1');
  return Buffer.concat([Buffer.from(`${head} `, 'latin1'), data, Buffer.of(lineFeed)]);
}

/** Splits what a server sends into frames, however it is chunked. */
export class RelpParser {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames that are complete now; undefined, then and for every later chunk, if it is not RELP. */
  push(chunk: Buffer): RelpFrame[] | undefined {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: RelpFrame[] = [];
    for (;;) {
      const head = headOf(this.#rest);
      if (head === 'broken') return undefined;
      if (head === 'incomplete') return frames;
      const end = head.dataStart + head.dataLength;
      if (this.#rest.length <= end) return frames;
      if (this.#rest[end] !== lineFeed) return undefined;
      const data = this.#rest.subarray(head.dataStart, end);
      frames.push({ transaction: head.transaction, command: head.command, data });
      this.#rest = this.#rest.subarray(end + 1);
    }
  }
}

interface Head {
  readonly transaction: number;
  readonly command: string;
  readonly dataLength: number;
  readonly dataStart: number;
}

const maxHead = 9 + 1 + 32 + 1 + 9 + 1;

function headOf(bytes: Buffer): Head | 'incomplete' | 'broken' {
  const text = bytes.toString('latin1', 0, maxHead);
  const match = /^(\d{1,9}) ([A-Za-z]{1,32}) (\d{1,9})([ \n])/.exec(text);
  if (match === null) return /^(\d{1,9}( ([A-Za-z]{1,32}( (\d{1,9})?)?)?)?)?$/.test(text) ? 'incomplete' : 'broken';
  const [whole, transaction, command = '', length, end] = match;
  const dataLength = Number(length);
  if (dataLength > maxData || (end === '\n' && dataLength > 0)) return 'broken';
  return {
    transaction: Number(transaction),
    command,
    dataLength,
    dataStart: end === '\n' ? whole.length - 1 : whole.length,
  };
}
