/** How a receiver on a stream finds the end of a message. */
export type Framing = 'octet-counting' | 'newline';

const lineFeed = Buffer.from('\n');

/**
 * The messages as bytes of a stream. Octet counting: RFC 6587 section 3.4.1 and RFC 5425 section 4.3. Newline: RFC 6587
 * section 3.4.2; safe, since no message has a control character.
 */
export function frame(messages: readonly Buffer[], framing: Framing): Buffer {
  const octetCounting = framing === 'octet-counting';
  return Buffer.concat(
    messages.flatMap((message) =>
      octetCounting ? [Buffer.from(`${message.length} `, 'latin1'), message] : [message, lineFeed],
    ),
  );
}
