/**
 * Loaded before the program (`node --import`): counts the points at which anything leaves the process, reaches the disk or
 * comes back, and ends the process at one of them as `kill -9` does. The program itself is what is shipped.
 *
 * TORTURE_TRACE=FILE    every point, one JSON object a line
 * TORTURE_KILL_AT=POINT SIGKILL at that point: `OP NAME K`, the K-th, from 0, of its kind: the order of all varies, its own hardly
 * TORTURE_FAULT=OP:PART:CODE:TIMES   the first TIMES of operation OP on a path that holds PART fail with CODE
 */
import fs from 'node:fs';
import promises, { type FileHandle } from 'node:fs/promises';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { basename } from 'node:path';
import type { Point } from './points.ts';

type Plain = (this: unknown, ...args: unknown[]) => unknown;
type Holder = Record<string, Plain>;

const { openSync, writeSync } = fs;
const killAt = process.env['TORTURE_KILL_AT'];
const traceFile = process.env['TORTURE_TRACE'];
const trace = traceFile === undefined ? undefined : openSync(traceFile, 'a', 0o600);
const [faultOp, faultPart = '', faultCode = '', faultTimes = '0'] = (process.env['TORTURE_FAULT'] ?? '').split(':');
let faultsLeft = Number(faultTimes);
const counts = new Map<string, number>();
/** Paths of open descriptors. */
const paths = new Map<number, string>([[1, 'stdout']]);

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}

/** `half`: does part of what is to be done, for a death in the middle of it. */
function point(op: Point['op'], path = '', half?: () => void): void {
  const kind = `${op} ${basename(path)}`;
  const k = counts.get(kind) ?? 0;
  counts.set(kind, k + 1);
  const at = `${kind} ${k}`;
  if (trace !== undefined) writeSync(trace, `${JSON.stringify({ at, op, path })}\n`);
  if (at === killAt) {
    half?.();
    die();
  }
}

function fail(op: string, path: string): void {
  if (op !== faultOp || faultsLeft <= 0 || !path.includes(faultPart)) return;
  faultsLeft--;
  throw Object.assign(new Error(`${faultCode}: made to fail, ${op} '${path}'`), { code: faultCode, syscall: op, path });
}

function wrap(
  holder: object,
  name: string,
  around: (original: Plain, self: unknown, args: unknown[]) => unknown,
): void {
  const original = (holder as Holder)[name];
  if (original === undefined) throw new Error(`the program's runtime has no ${name}`);
  (holder as Holder)[name] = function (this: unknown, ...args: unknown[]) {
    return around(original, this, args);
  };
}

const text = (value: unknown) => (typeof value === 'string' ? value : '');
const pathOf = (file: unknown) => (typeof file === 'number' ? (paths.get(file) ?? `fd ${file}`) : text(file));
const bytesOf = (data: unknown) => (Buffer.isBuffer(data) ? data : Buffer.from(text(data)));
const isWriting = (flags: unknown) =>
  typeof flags === 'number' ? (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR)) !== 0 : /[wa+]/.test(text(flags));
const isLog = (file: unknown) => file === 2 || file === trace;

/** A write to the disk or to standard output: before, cut in the middle, after. */
function writing(fd: number, data: unknown): string {
  const path = pathOf(fd);
  const bytes = bytesOf(data);
  fail('write', path);
  point('write', path);
  point('barely-written', path, () => writeSync(fd, bytes.subarray(0, Math.min(20, bytes.length >> 1))));
  point('half-written', path, () => writeSync(fd, bytes.subarray(0, bytes.length >> 1)));
  return path;
}

wrap(fs, 'openSync', (original, self, args) => {
  const path = text(args[0]);
  if (isWriting(args[1])) {
    fail('open', path);
    point('open', path);
  }
  const fd = Reflect.apply(original, self, args) as number;
  paths.set(fd, path);
  return fd;
});
for (const name of ['renameSync', 'linkSync', 'unlinkSync'])
  wrap(fs, name, (original, self, args) => {
    const op = name.replace('Sync', '') as Point['op'];
    const path = op === 'unlink' ? text(args[0]) : text(args[1]);
    fail(op, path);
    point(op, path);
    return Reflect.apply(original, self, args);
  });
for (const name of ['writeFileSync', 'writeSync'])
  wrap(fs, name, (original, self, args) => {
    if (typeof args[0] !== 'number' || isLog(args[0])) return Reflect.apply(original, self, args);
    const path = writing(args[0], args[1]);
    const result = Reflect.apply(original, self, args);
    point('written', path);
    return result;
  });
for (const name of ['writeFile', 'fsync'])
  wrap(fs, name, (original, self, args) => {
    const [fd, done] = [args[0], args.at(-1)];
    if (typeof fd !== 'number' || typeof done !== 'function' || isLog(fd)) return Reflect.apply(original, self, args);
    const path = pathOf(fd);
    try {
      if (name === 'fsync') {
        fail('sync', path);
        point('sync', path);
      } else writing(fd, args[1]);
    } catch (error) {
      return void process.nextTick(() => done(error));
    }
    const after = (...results: unknown[]) => {
      point(name === 'fsync' ? 'synced' : 'written', path);
      done(...results);
    };
    return Reflect.apply(original, self, [...args.slice(0, -1), after]);
  });

const sample = await promises.open('/dev/null');
const handles = Object.getPrototypeOf(sample) as FileHandle;
await sample.close();
wrap(promises, 'open', async (original, self, args) => {
  const path = text(args[0]);
  if (isWriting(args[1])) {
    fail('open', path);
    point('open', path);
  }
  const handle = (await Reflect.apply(original, self, args)) as FileHandle;
  paths.set(handle.fd, path);
  return handle;
});
for (const name of ['writeFile', 'sync', 'truncate'])
  wrap(handles, name, async (original, self, args) => {
    const { fd } = self as FileHandle;
    const path = pathOf(fd);
    if (name === 'writeFile') writing(fd, args[0]);
    else {
      fail(name, path);
      point(name as Point['op'], path);
    }
    const result = await Reflect.apply(original, self, args);
    point(name === 'writeFile' ? 'written' : name === 'sync' ? 'synced' : 'truncated', path);
    return result;
  });
for (const name of ['rename', 'link', 'unlink'])
  wrap(promises, name, (original, self, args) => {
    point(name as Point['op'], text(args[name === 'unlink' ? 0 : 1]));
    return Reflect.apply(original, self, args);
  });

const isStderr = (socket: unknown) => (socket as { fd?: unknown }).fd === 2;
for (const name of ['_write', '_writev'])
  wrap(net.Socket.prototype, name, (original, self, args) => {
    if (isStderr(self)) return Reflect.apply(original, self, args);
    point('send');
    point('half-sent', '', () => {
      const first = name === '_write' ? args[0] : (args[0] as { chunk: unknown }[])[0]?.chunk;
      const bytes = bytesOf(first);
      (self as { _writeGeneric(...given: unknown[]): void })._writeGeneric(
        false,
        bytes.subarray(0, bytes.length >> 1),
        'buffer',
        () => {},
      );
    });
    const result = Reflect.apply(original, self, args);
    point('sent');
    return result;
  });
wrap(net.Socket.prototype, 'push', (original, self, args) => {
  if (args[0] !== null) point('received');
  return Reflect.apply(original, self, args);
});
for (const [prototype, events] of [
  [http.ClientRequest.prototype, ['finish', 'response']],
  [http.IncomingMessage.prototype, ['end']],
] as const)
  wrap(prototype, 'emit', (original, self, args) => {
    if ((events as readonly unknown[]).includes(args[0])) point(`http-${String(args[0])}` as Point['op']);
    return Reflect.apply(original, self, args);
  });

syncBuiltinESMExports();
