/** How a receiver on a stream tells one message from the next. */
export type Framing = 'octet-counting' | 'newline';

/**
 * The messages as one stretch of a stream. Octet counting: RFC 6587 section 3.4.1 and RFC 5425 section 4.3; newline: RFC
 * 6587 section 3.4.2, safe since no message holds a control character.
 */
export function framed(messages: readonly Buffer[], framing: Framing): Buffer {
  const pieces: Buffer[] = [];
  for (const message of messages)
    if (framing === 'newline') pieces.push(message, lineFeed);
    else pieces.push(Buffer.from(`${message.length} `, 'latin1'), message);
  return Buffer.concat(pieces);
}

const lineFeed = Buffer.from('\n');
