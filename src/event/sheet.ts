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
  /** Where characters stand that a syslog payload must not hold, ascending; undefined where they were not looked for. */
  #controls: readonly number[] | 'many' | undefined;

  constructor(bytes: Buffer, receivedAtMs: number, reading: Reading) {
    this.bytes = bytes;
    this.receivedAtMs = receivedAtMs;
    this.reading = reading;
  }

  /** No event in it spans lines or holds a tab: each one's text is a record as it is. */
  get isPlain(): boolean {
    this.#isPlain ??= !holdsBreak(this.bytes);
    return this.#isPlain;
  }

  /**
   * Whether what stands between is a syslog payload as it is: no event of the page spans lines or holds a tab, and in this
   * part there is no DEL, C1 control or line separator.
   */
  isInert(from: number, to: number): boolean {
    if (!this.isPlain) return false;
    this.#controls ??= controlsIn(this.bytes);
    return this.#controls !== 'many' && !isAnyBetween(this.#controls, from, to);
  }
}

// Not within the getter: where a function has one like it within, each call makes room for what that may hold on to.
const holdsBreak = (bytes: Buffer) => breaks.some((byte) => bytes.includes(byte));

/** More are not kept: the whole page counts as holding them. */
const mostControls = 1_000;

function controlsIn(bytes: Buffer): readonly number[] | 'many' {
  const found: number[] = [];
  const look = (lead: number | Buffer, isOne: (at: number) => boolean) => {
    for (let at = bytes.indexOf(lead); at !== -1 && found.length <= mostControls; at = bytes.indexOf(lead, at + 1))
      if (isOne(at)) found.push(at);
  };
  look(del, () => true);
  if (!isAscii(bytes)) {
    look(c1Lead, (at) => (bytes[at + 1] ?? 0) < 0xa0);
    look(separatorLead, (at) => bytes[at + 2] === 0xa8 || bytes[at + 2] === 0xa9);
  }
  return found.length > mostControls ? 'many' : found.sort((a, b) => a - b);
}

/** Whether one of the ascending `offsets` lies between. */
function isAnyBetween(offsets: readonly number[], from: number, to: number): boolean {
  let low = 0;
  let high = offsets.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((offsets[middle] ?? 0) < from) low = middle + 1;
    else high = middle;
  }
  return (offsets[low] ?? to) < to;
}
