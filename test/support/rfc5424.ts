/** A message as a reader of RFC 5424 understands it; written from the RFC, independent of the code under test. */
export interface Parsed5424 {
  readonly facility: number;
  readonly severity: number;
  readonly time: string;
  readonly host: string;
  readonly app: string;
  readonly procid: string;
  readonly msgid: string;
  readonly sdId: string;
  readonly sd: Readonly<Record<string, string>>;
  readonly msg: string;
}

const header =
  /^<(0|[1-9]\d{0,2})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) /;

/** @throws if the message is not RFC 5424 */
export function parse5424(message: string): Parsed5424 {
  const head = header.exec(message);
  if (head === null) throw new Error(`no RFC 5424 header: ${JSON.stringify(message.slice(0, 200))}`);
  const [whole, pri, time = '', host = '', app = '', procid = '', msgid = ''] = head;
  if (Number(pri) > 191) throw new Error(`PRI ${pri}`);
  let at = whole.length;
  const sd: Record<string, string> = {};
  const id = /\[([^= \]"]{1,32})/y;
  id.lastIndex = at;
  const sdId = id.exec(message)?.[1];
  if (sdId === undefined) throw new Error('no structured data');
  at = id.lastIndex;
  while (message[at] === ' ') {
    const name = /([^= \]"]{1,32})="/y;
    name.lastIndex = at + 1;
    const param = name.exec(message)?.[1];
    if (param === undefined) throw new Error('no parameter name');
    at = name.lastIndex;
    let value = '';
    for (;;) {
      const character = message[at];
      if (character === undefined || character === ']') throw new Error('an unescaped ] or no end');
      if (character === '"') break;
      if (character === '\\') {
        if (!['"', '\\', ']'].includes(message[at + 1] ?? '')) throw new Error('a backslash before something else');
        at++;
      }
      value += message[at];
      at++;
    }
    if (param in sd) throw new Error(`${param} twice`);
    sd[param] = value;
    at++;
  }
  if (message[at] !== ']' || message[at + 1] !== ' ') throw new Error('the structured data has no end');
  return {
    facility: Number(pri) >> 3,
    severity: Number(pri) & 7,
    time,
    host,
    app,
    procid,
    msgid,
    sdId,
    sd, // biome-ignore format: one line
    msg: message.slice(at + 2),
  };
}

/** The messages of an octet-counted stream (RFC 6587 section 3.4.1). @throws if it is malformed */
export function readOctetCounted(stream: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < stream.length; ) {
    const blank = stream.indexOf(0x20, at);
    const count = stream.toString('latin1', at, blank);
    if (blank < 0 || !/^[1-9]\d*$/.test(count)) throw new Error(`no count: ${count.slice(0, 50)}`);
    const end = blank + 1 + Number(count);
    if (end > stream.length) throw new Error('a cut frame');
    messages.push(stream.toString('utf8', blank + 1, end));
    at = end;
  }
  return messages;
}

/** The messages of a stream whose receiver ends them at LF, CR or NUL. */
export const readLines = (stream: Buffer): string[] =>
  stream
    .toString('utf8')
    .split(/[\n\r\0]/)
    .filter((line) => line !== '');

/** The data of the `syslog` frames of a RELP stream. @throws if it is malformed */
export function readRelp(stream: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < stream.length; ) {
    const head = /^(\d{1,9}) syslog (\d{1,9}) /.exec(stream.toString('latin1', at, at + 40));
    if (head === null) throw new Error('no RELP frame');
    const start = at + head[0].length;
    const end = start + Number(head[2]);
    if (stream[end] !== 0x0a) throw new Error('no line feed after the data');
    messages.push(stream.toString('utf8', start, end));
    at = end + 1;
  }
  return messages;
}
