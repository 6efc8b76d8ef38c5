import { copyRecord, type Encoded, type PlacedEvent, sizeOf } from '../../event/event.ts';
import { copyBytes } from '../../event/write-bytes.ts';
import { type HeaderRules, headerField, parameter, priority } from './header.ts';
import { Message } from './message.ts';

const quote = 0x22;
const bracket = 0x5d;
const del = 0x7f;
/** `YYYY-MM-DDTHH:MM:SS.mmmZ`: as it stands in the page it is a header's TIMESTAMP. */
const timeLength = 24;
const userName = bytesOf(' user="');
const sourceName = bytesOf(' src="');
/** Actions whose part of a header is kept. */
const kept = 1_000;
/** Longer ones are not: hostile actions must not fill the memory. */
const longestKept = 256;

/** What stands in the header of each event of an action, around the event's own time and id. */
interface Frame {
  readonly front: Uint8Array;
  readonly middle: Uint8Array;
  readonly afterId: Uint8Array;
}

/** Writes the RFC 5424 messages of one sink whose header can go from page to message byte by byte. */
export class PlacedMessages {
  readonly #rules: HeaderRules;
  readonly #names: string;
  readonly #tail: Uint8Array;
  readonly #frames = new Map<string, Frame>();

  constructor(rules: HeaderRules) {
    const { tenant, appName } = rules;
    this.#rules = rules;
    this.#names = `${headerField(tenant, 255)} ${headerField(appName, 48)} -`;
    this.#tail = bytesOf(`${parameter('tenant', tenant)}] `);
  }

  /** The message `syslogMessage` would make; undefined where something in the header had to be written otherwise. */
  of(event: PlacedEvent, payload: Buffer | Encoded): Message | undefined {
    const { rows, row, page } = event;
    if (this.#rules.rfc !== 5424 || rows.timeEnd(row) - rows.timeAt(row) !== timeLength) return undefined;
    if (!isValue(page, rows.userAt(row), rows.userEnd(row)) || !isValue(page, rows.ipAt(row), rows.ipEnd(row)))
      return undefined;
    return new PlacedMessage(event, this.#frameOf(event.action), this.#tail, payload);
  }

  #frameOf(action: string): Frame {
    const known = this.#frames.get(action);
    if (known !== undefined) return known;
    const made = {
      front: bytesOf(`<${priority(this.#rules, action)}>1 `),
      middle: bytesOf(` ${this.#names} ${headerField(action, 32)} [${this.#rules.sdId} id="`),
      afterId: bytesOf(`"${parameter('action', action)}`),
    };
    if (this.#frames.size >= kept) this.#frames.clear();
    if (action.length <= longestKept) this.#frames.set(action, made);
    return made;
  }
}

/** Whether the bytes are a parameter's value as they are: no escape, nothing beyond ASCII. */
function isValue(page: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const byte = page[at] ?? del;
    if (byte >= del || byte === bracket) return false;
  }
  return true;
}

class PlacedMessage extends Message {
  readonly length: number;
  readonly #event: PlacedEvent;
  readonly #frame: Frame;
  readonly #tail: Uint8Array;
  readonly #payload: Buffer | Encoded;

  constructor(event: PlacedEvent, frame: Frame, tail: Uint8Array, payload: Buffer | Encoded) {
    super();
    const { rows, row } = event;
    const user = rows.userEnd(row) - rows.userAt(row);
    const source = rows.ipEnd(row) - rows.ipAt(row);
    this.#event = event;
    this.#frame = frame;
    this.#tail = tail;
    this.#payload = payload;
    this.length =
      frame.front.length +
      timeLength +
      frame.middle.length +
      (rows.idEnd(row) - rows.idAt(row)) +
      frame.afterId.length +
      (user === 0 ? 0 : userName.length + user + 1) +
      (source === 0 ? 0 : sourceName.length + source + 1) +
      tail.length +
      (Buffer.isBuffer(payload) ? payload.length : sizeOf(payload));
  }

  writeTo(target: Buffer, at: number): number {
    const { rows, row, page } = this.#event;
    const { front, middle, afterId } = this.#frame;
    let end = copyBytes(target, at, front);
    end = copyBytes(target, end, page, rows.timeAt(row), rows.timeEnd(row));
    end = copyBytes(target, end, middle);
    end = copyBytes(target, end, page, rows.idAt(row), rows.idEnd(row));
    end = copyBytes(target, end, afterId);
    end = copyParameter(target, end, userName, page, rows.userAt(row), rows.userEnd(row));
    end = copyParameter(target, end, sourceName, page, rows.ipAt(row), rows.ipEnd(row));
    end = copyBytes(target, end, this.#tail);
    const payload = this.#payload;
    return Buffer.isBuffer(payload) ? end + payload.copy(target, end) : copyRecord(payload, target, end);
  }
}

function copyParameter(
  target: Uint8Array,
  at: number,
  name: Uint8Array,
  page: Uint8Array,
  from: number,
  to: number,
): number {
  if (from === to) return at;
  const end = copyBytes(target, copyBytes(target, at, name), page, from, to);
  target[end] = quote;
  return end + 1;
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}
