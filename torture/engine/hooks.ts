/**
 * Wraps every operation that sends, receives or reaches the disk, and calls `reach` at each such point. `reach` may kill
 * the process or throw.
 */
import fs from 'node:fs';
import promises, { type FileHandle } from 'node:fs/promises';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { basename } from 'node:path';
import type { Point } from './kill-points.ts';

type Plain = (this: unknown, ...args: unknown[]) => unknown;
type Holder = Record<string, Plain>;

export interface Hooks {
  /** `half`: performs part of the operation, for a kill in the middle of it. @throws if the program counts as dead */
  reach(op: Point['op'], path: string, half?: () => void): void;
  /** Before an operation on the disk. @throws the injected error */
  fail?(op: string, path: string): void;
  /** Before a socket connects. @throws if the program counts as dead */
  connecting?(socket: net.Socket): void;
  /** Whether `reach` threw this error, which must then not be reported. */
  isEnd?(error: unknown): boolean;
  /** A descriptor of the kit, not of the program. */
  readonly own?: number | undefined;
}

/** The name of the k-th point of its kind. */
export const nameOf = (op: Point['op'], path: string) => `${op} ${basename(path)}`;

const { writeSync } = fs;
/** Paths of open descriptors. */
const paths = new Map<number, string>([[1, 'stdout']]);
const text = (value: unknown) => (typeof value === 'string' ? value : '');
const pathOf = (file: unknown) => (typeof file === 'number' ? (paths.get(file) ?? `fd ${file}`) : text(file));
const bytesOf = (data: unknown) => (Buffer.isBuffer(data) ? data : Buffer.from(text(data)));
const isWriting = (flags: unknown) =>
  typeof flags === 'number' ? (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR)) !== 0 : /[wa+]/.test(text(flags));

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

/** Call once per process, before the program is loaded. */
export async function hook({ reach, fail = () => {}, connecting, isEnd = () => false, own }: Hooks): Promise<void> {
  const isLog = (file: unknown) => file === 2 || file === own;

  /** A write to the disk or to standard output: before, cut in the middle, after. */
  const writing = (fd: number, data: unknown): string => {
    const path = pathOf(fd);
    const bytes = bytesOf(data);
    fail('write', path);
    reach('write', path);
    reach('barely-written', path, () => writeSync(fd, bytes.subarray(0, Math.min(20, bytes.length >> 1))));
    reach('half-written', path, () => writeSync(fd, bytes.subarray(0, bytes.length >> 1)));
    return path;
  };
  const opening = (path: string, flags: unknown) => {
    if (!isWriting(flags)) return;
    fail('open', path);
    reach('open', path);
  };
  /** Whether the kill point was reached. A throw into the runtime's own callbacks would crash the process. */
  const ends = (op: Point['op'], path = '', half?: () => void): boolean => {
    try {
      reach(op, path, half);
      return false;
    } catch (error) {
      if (isEnd(error)) return true;
      throw error;
    }
  };

  wrap(fs, 'openSync', (original, self, args) => {
    const path = text(args[0]);
    opening(path, args[1]);
    const fd = Reflect.apply(original, self, args) as number;
    paths.set(fd, path);
    return fd;
  });
  for (const name of ['renameSync', 'linkSync', 'unlinkSync'])
    wrap(fs, name, (original, self, args) => {
      const op = name.replace('Sync', '') as Point['op'];
      const path = op === 'unlink' ? text(args[0]) : text(args[1]);
      fail(op, path);
      reach(op, path);
      return Reflect.apply(original, self, args);
    });
  for (const name of ['writeFileSync', 'writeSync'])
    wrap(fs, name, (original, self, args) => {
      if (typeof args[0] !== 'number' || isLog(args[0])) return Reflect.apply(original, self, args);
      const path = writing(args[0], args[1]);
      const result = Reflect.apply(original, self, args);
      reach('written', path);
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
          reach('sync', path);
        } else writing(fd, args[1]);
      } catch (error) {
        return void process.nextTick(() => done(error));
      }
      const after = (...results: unknown[]) => {
        try {
          reach(name === 'fsync' ? 'synced' : 'written', path);
        } catch (error) {
          return done(error);
        }
        done(...results);
      };
      return Reflect.apply(original, self, [...args.slice(0, -1), after]);
    });

  const sample = await promises.open('/dev/null');
  const handles = Object.getPrototypeOf(sample) as FileHandle;
  await sample.close();
  wrap(promises, 'open', async (original, self, args) => {
    const path = text(args[0]);
    opening(path, args[1]);
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
        reach(name as Point['op'], path);
      }
      const result = await Reflect.apply(original, self, args);
      reach(name === 'writeFile' ? 'written' : name === 'sync' ? 'synced' : 'truncated', path);
      return result;
    });
  for (const name of ['rename', 'link', 'unlink'])
    wrap(promises, name, (original, self, args) => {
      reach(name as Point['op'], text(args[name === 'unlink' ? 0 : 1]));
      return Reflect.apply(original, self, args);
    });

  const isStderr = (socket: unknown) => (socket as { fd?: unknown }).fd === 2;
  for (const name of ['_write', '_writev'])
    wrap(net.Socket.prototype, name, (original, self, args) => {
      if (isStderr(self)) return Reflect.apply(original, self, args);
      const sendHalf = () => {
        const first = name === '_write' ? args[0] : (args[0] as { chunk: unknown }[])[0]?.chunk;
        const bytes = bytesOf(first);
        (self as { _writeGeneric(...given: unknown[]): void })._writeGeneric(
          false,
          bytes.subarray(0, bytes.length >> 1),
          'buffer',
          () => {},
        );
      };
      if (ends('send') || ends('half-sent', '', sendHalf)) return undefined;
      const result = Reflect.apply(original, self, args);
      ends('sent');
      return result;
    });
  wrap(net.Socket.prototype, 'push', (original, self, args) => {
    if (args[0] !== null && ends('received')) return false;
    return Reflect.apply(original, self, args);
  });
  if (connecting !== undefined)
    wrap(net.Socket.prototype, 'connect', (original, self, args) => {
      connecting(self as net.Socket);
      return Reflect.apply(original, self, args);
    });
  for (const [prototype, events] of [
    [http.ClientRequest.prototype, ['finish', 'response']],
    [http.IncomingMessage.prototype, ['end']],
  ] as const)
    wrap(prototype, 'emit', (original, self, args) => {
      const name = args[0];
      if ((events as readonly unknown[]).includes(name) && ends(`http-${String(name)}` as Point['op'])) return true;
      return Reflect.apply(original, self, args);
    });

  syncBuiltinESMExports();
}
