/**
 * The baseline: the least that moves the same pages with the same checks. Fetches with node:http, parses each page as a
 * check, splices the events' own bytes, compresses at the level of the HEC sink, posts, and writes and syncs a cursor
 * after each batch. No retries, no configuration, no limits, and over TCP no look at control characters and no waiting
 * for what became of it: what the program costs above it is what its promises cost.
 *
 * baseline.js SOURCE KEY CURSOR gzip|none|tcp|stdout [URL TOKEN]
 */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { Agent, type OutgoingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { begin } from './meter.ts';

const [source = '', key = '', cursor = '', kind = '', target = '', token = ''] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true });
const inflate = promisify(gunzip);
const deflate = promisify<Buffer, { level: number; chunkSize: number }, Buffer>(gzip);
const zip = { level: 1, chunkSize: 128 * 1024 };
const head = Buffer.from('{"time":');
const middle = Buffer.from(
  `,"host":"127.0.0.1","source":"qasphere-siem-forwarder","sourcetype":"qasphere:audit","event":`,
);
const tail = Buffer.from('}\n');

interface Answer {
  readonly status: number;
  readonly encoding: string | undefined;
  readonly body: Buffer;
}

function ask(method: string, url: string, headers: OutgoingHttpHeaders, body?: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, method, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          encoding: answer.headers['content-encoding'],
          body: Buffer.concat(chunks),
        }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function fetchPage(after: string): Promise<Buffer> {
  begin();
  const url = `${source}/api/public/v0/audit-logs?after=${after}&count=1000`;
  const { status, encoding, body } = await ask('GET', url, {
    authorization: `Bearer ${key}`,
    'accept-encoding': 'gzip',
  });
  if (status !== 200) throw new Error(`the source answered ${status}`);
  return encoding === 'gzip' ? inflate(body) : body;
}

let scratch = Buffer.allocUnsafeSlow(1024 ** 2);

/** Copies each element of `events` into the scratch buffer with `before` and `after` around it. */
function splice(page: Buffer, each: (from: number, to: number, at: number, index: number) => number): Buffer {
  if (scratch.length < page.length * 3) scratch = Buffer.allocUnsafeSlow(page.length * 3);
  let at = 0;
  let index = 0;
  let depth = 0;
  let from = 0;
  for (let here = page.indexOf('"events":[') + 10; here < page.length; here++) {
    const byte = page[here];
    if (byte === 0x22) {
      for (here++; page[here] !== 0x22; here++) if (page[here] === 0x5c) here++;
    } else if (byte === 0x7b || byte === 0x5b) {
      if (depth++ === 0) from = here;
    } else if (byte === 0x7d || byte === 0x5d) {
      if (depth === 0) break;
      if (--depth === 0) at = each(from, here + 1, at, index++);
    }
  }
  return scratch.subarray(0, at);
}

interface Event {
  readonly id: number;
  readonly action: string;
  readonly ip: string;
  readonly createdAt: string;
  readonly user: { readonly email: string } | null;
}

async function post(page: Buffer, events: readonly Event[]): Promise<void> {
  const body = splice(page, (from, to, at, index) => {
    let end = at + head.copy(scratch, at);
    end += scratch.write((Date.parse(events[index]?.createdAt ?? '') / 1000).toFixed(3), end, 'latin1');
    end += middle.copy(scratch, end);
    end += page.copy(scratch, end, from, to);
    return end + tail.copy(scratch, end);
  });
  const headers = { authorization: `Splunk ${token}`, 'content-type': 'application/json' };
  const url = `${target}/services/collector/event`;
  const { status } = await (kind === 'gzip'
    ? ask('POST', url, { ...headers, 'content-encoding': 'gzip' }, await deflate(body, zip))
    : ask('POST', url, headers, body));
  if (status !== 200) throw new Error(`the collector answered ${status}`);
}

let socket: Socket | undefined;

/** RFC 5424 with octet counting, the fields of the program's own header. */
function write(page: Buffer, events: readonly Event[]): Promise<void> {
  const { hostname, port } = new URL(target);
  socket ??= connect(Number(port), hostname);
  const frames = splice(page, (from, to, at, index) => {
    const { id = 0, action = '', ip = '', createdAt = '', user = null } = events[index] ?? {};
    const email = user === null ? '' : ` user="${user.email}"`;
    const header = `<110>1 ${createdAt} acme qasphere - ${action} [qasphere@32473 id="${id}" action="${action}"${email} src="${ip}" tenant="acme"] `;
    let end = at + scratch.write(`${header.length + to - from} ${header}`, at, 'latin1');
    end += page.copy(scratch, end, from, to);
    return end;
  });
  return new Promise((resolve, reject) => {
    socket?.write(frames, (error) => (error ? reject(error) : resolve()));
  });
}

function print(page: Buffer): Promise<void> {
  const lines = splice(page, (from, to, at) => {
    const end = at + page.copy(scratch, at, from, to);
    scratch[end] = 0x0a;
    return end + 1;
  });
  return new Promise((resolve, reject) => {
    process.stdout.write(lines, (error) => (error ? reject(error) : resolve()));
  });
}

function remember(after: string): void {
  const file = openSync(`${cursor}.tmp`, 'w', 0o600);
  writeSync(file, `{"after":"${after}"}\n`);
  fsyncSync(file);
  closeSync(file);
  renameSync(`${cursor}.tmp`, cursor);
}

let next = fetchPage('0');
for (;;) {
  const page = await next;
  const { events } = JSON.parse(page.toString('utf8')) as { events: Event[] };
  const last = events.at(-1);
  if (last === undefined) break;
  next = fetchPage(String(last.id));
  await (kind === 'stdout' ? print(page) : kind === 'tcp' ? write(page, events) : post(page, events));
  remember(String(last.id));
}
agent.destroy();
if (socket !== undefined) {
  const closed = new Promise((resolve) => socket?.once('close', resolve));
  socket.end();
  socket.resume();
  await closed;
}
