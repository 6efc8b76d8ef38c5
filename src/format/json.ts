import type { AuditEvent } from '../event/event.ts';
import type { Format, FormatContext } from './format.ts';

/**
 * The API's text, byte for byte; with `envelope` wrapped as `{"tenant":…,"receivedAt":…,"event":…}`. Raw line ends and tabs,
 * which valid JSON has only between tokens, become spaces.
 */
export function jsonFormat(context: FormatContext, envelope = false): Format {
  const head = `{"tenant":${JSON.stringify(context.tenant)},"receivedAt":`;
  const tail = Buffer.from('}');
  return {
    name: 'json',
    json: true,
    encode(event: AuditEvent): Buffer {
      const line = onOneLine(event.text);
      if (!envelope) return line;
      const receivedAt = JSON.stringify(new Date(event.receivedAtMs).toISOString());
      return Buffer.concat([Buffer.from(`${head}${receivedAt},"event":`), line, tail]);
    },
  };
}

const tab = 0x09;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** JSON text with a space for each raw CR, LF and TAB; the same buffer if it has none. */
function onOneLine(text: Buffer): Buffer {
  if (!text.includes(lineFeed) && !text.includes(carriageReturn) && !text.includes(tab)) return text;
  const line = Buffer.from(text);
  for (let at = 0; at < line.length; at++) {
    const byte = line[at];
    if (byte === lineFeed || byte === carriageReturn || byte === tab) line[at] = 0x20;
  }
  return line;
}
