import { isAscii } from 'node:buffer';
import type { Reading } from './reading.ts';

/** LF, CR and TAB, which JSON has raw between tokens only. */
const breaks = [0x0a, 0x0d, 0x09];
const del = 0x7f;
/** What C1 controls begin with in UTF-8 (C2 80 to C2 9F); other characters do as well. */
const c1Lead = 0xc2;
/** U+2028 and U+2029 in UTF-8, but for their last byte. */
const separatorLead = Buffer.from([0xe2, 0x80]);

/** A page, as what the events in it have in common. */
export class Sheet {
  /** The page's text: JSON, UTF-8. */
  readonly bytes: Buffer;
  /** Milliseconds since the epoch, local clock. */
  readonly receivedAtMs: number;
  readonly reading: Reading;
  #isPlain: boolean | undefined;
  #isInert: boolean | undefined;

  constructor(bytes: Buffer, receivedAtMs: number, reading: Reading) {
    this.bytes = bytes;
    this.receivedAtMs = receivedAtMs;
    this.reading = reading;
  }

  /** The text from `from` to `to`, decoded; nothing is unescaped. */
  textAt(from: number, to: number): string {
    return this.bytes.toString('utf8', from, to);
  }

  /** No event in it spans lines or holds a tab: each one's text is a record as it is. */
  get isPlain(): boolean {
    this.#isPlain ??= !breaks.some((byte) => this.bytes.includes(byte));
    return this.#isPlain;
  }

  /** Moreover there is no DEL, no C1 control and no line separator in it: each one's text is a syslog payload as it is. */
  get isInert(): boolean {
    this.#isInert ??= this.isPlain && !this.bytes.includes(del) && (isAscii(this.bytes) || !hasControls(this.bytes));
    return this.#isInert;
  }
}

function hasControls(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(c1Lead); at !== -1; at = bytes.indexOf(c1Lead, at + 1))
    if ((bytes[at + 1] ?? 0) < 0xa0) return true;
  for (let at = bytes.indexOf(separatorLead); at !== -1; at = bytes.indexOf(separatorLead, at + 2)) {
    const last = bytes[at + 2];
    if (last === 0xa8 || last === 0xa9) return true;
  }
  return false;
}
