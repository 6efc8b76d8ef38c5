import type { Message } from './message.ts';

/** How a receiver on a stream tells one message from the next. */
export type Framing = 'octet-counting' | 'newline';

/**
 * The messages as one stretch of a stream. Octet counting: RFC 6587 section 3.4.1 and RFC 5425 section 4.3; newline: RFC
 * 6587 section 3.4.2, safe since no message holds a control character. `memory` gives what it is written into, at least as
 * long as asked.
 */
export function framed(
  messages: readonly Message[],
  framing: Framing,
  memory: (bytes: number) => Buffer = Buffer.allocUnsafe,
): Buffer {
  const longest = messages.reduce((sum, { length }) => sum + length + longestCount, 0);
  const frames = memory(longest);
  let at = 0;
  for (const message of messages) {
    if (framing === 'octet-counting') {
      at += frames.write(`${message.length} `, at, 'latin1');
    }
    at = message.writeTo(frames, at);
    if (framing === 'newline') frames[at++] = lineFeed;
  }
  return frames.subarray(0, at);
}

/** Bytes of a count and its blank, at most. */
const longestCount = 11;
const lineFeed = 0x0a;
