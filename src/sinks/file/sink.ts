import { constants } from 'node:fs';
import { access, type FileHandle, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Batch } from '../../event/event.ts';
import type { StatusRecord } from '../../event/status-record.ts';
import { Mutex } from '../../lib/mutex.ts';
import { printable } from '../../lib/printable.ts';
import { accepted, type Verdict } from '../../lib/verdict.ts';
import { batchLines, statusLine } from '../lines.ts';
import type { BatchLimits, Sink, SinkDeps } from '../sink.ts';
import { isFileSystemError, notAFile, openTarget, type Target } from './files.ts';
import type { FileOptions } from './options.ts';
import { Rotation } from './rotation.ts';

const { R_OK, W_OK, X_OK } = constants;

/** Errors that pass without a change of the configuration or the permissions. */
const temporary = ['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'EINTR', 'EAGAIN', 'EBUSY', 'ESTALE'];

/**
 * Appends records to a file, one a line. A batch is accepted when it is written and fsynced.
 *
 * The file is opened for the first batch, and again whenever `path` no longer names the open file (logrotate renamed it, a
 * person deleted it). This is verified before each batch, so it needs no SIGHUP, and after each fsync: a rotation in between
 * may have compressed or deleted the file before the batch was in it, so the batch is written to the new file too. A batch in
 * two files is better than one in none.
 *
 * After a failed write the file is cut back to the last confirmed record, so that a retry doubles nothing. An incomplete line
 * that a crash left, or that can't be cut off (an append-only file), is ended with a line end, and its event comes again.
 */
export class FileSink implements Sink {
  readonly window = 1;
  readonly limits: BatchLimits;
  readonly #path: string;
  readonly #rotation: Rotation | undefined;
  /** Batches, status records and the closing use the file one after the other. */
  readonly #turns = new Mutex();
  #target: Target | undefined;

  constructor({ path, rotate, batch }: FileOptions, { name, emit }: SinkDeps) {
    this.#path = path;
    this.limits = batch;
    const warn = (detail: string) =>
      emit({ event: 'sink.warning', sink: name, topic: 'rotation', detail: printable(detail) });
    this.#rotation = rotate && new Rotation(path, rotate, warn);
  }

  send(batch: Batch, forced: AbortSignal): Promise<Verdict> {
    return this.#append(() => batchLines(batch, false), forced);
  }

  sendStatus(record: StatusRecord, forced: AbortSignal): Promise<Verdict> {
    return this.#append(() => statusLine(record, false), forced);
  }

  /** Verifies that the file, or a new one in its directory, can be written. Creates nothing. */
  async probe(forced: AbortSignal): Promise<Verdict> {
    forced.throwIfAborted();
    return this.#verdictOf(async () => {
      const found = await stat(this.#path).catch(undefinedIfMissing);
      if (found === undefined) await access(dirname(this.#path), W_OK | X_OK);
      else if (!found.isFile()) throw notAFile();
      else await access(this.#path, R_OK | W_OK);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turns.take(() => this.#close());
    await this.#rotation?.[Symbol.asyncDispose]();
  }

  /** @throws the reason of `forced`; a write that has begun is completed all the same */
  async #append(linesOf: () => Buffer, forced: AbortSignal): Promise<Verdict> {
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(forced.reason);
    forced.throwIfAborted();
    forced.addEventListener('abort', onAbort);
    try {
      const writing = this.#turns.take(async () => {
        forced.throwIfAborted();
        return this.#verdictOf(() => this.#write(linesOf()));
      });
      return await Promise.race([writing, aborted.promise]);
    } finally {
      forced.removeEventListener('abort', onAbort);
    }
  }

  async #write(lines: Buffer): Promise<void> {
    let target: Target;
    do {
      target = await this.#current();
      let { size } = await target.handle.stat();
      if (this.#rotation?.isDue(size, lines.length)) {
        await this.#close();
        await this.#rotation.rotate();
        target = await this.#current();
        ({ size } = await target.handle.stat());
      }
      try {
        await writeAll(target.handle, lines);
        await target.handle.sync();
      } catch (error) {
        await this.#cutBack(target, size);
        throw error;
      }
    } while (!(await this.#isCurrent(target)));
  }

  /** The open file if `path` still names it, else the file that `path` names now. */
  async #current(): Promise<Target> {
    if (this.#target !== undefined && (await this.#isCurrent(this.#target))) return this.#target;
    await this.#close();
    this.#target = await openTarget(this.#path);
    return this.#target;
  }

  async #isCurrent({ dev, ino }: Target): Promise<boolean> {
    const found = await stat(this.#path).catch(undefinedIfMissing);
    return found?.dev === dev && found.ino === ino;
  }

  /** Closes the file too: after a failed fsync the system may have dropped what was written, and reports it only once. */
  async #cutBack({ handle }: Target, size: number): Promise<void> {
    try {
      if ((await handle.stat()).size > size) await handle.truncate(size);
    } catch (error) {
      if (!isFileSystemError(error)) throw error;
    } finally {
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    const target = this.#target;
    this.#target = undefined;
    await target?.handle.close();
  }

  async #verdictOf(work: () => Promise<void>): Promise<Verdict> {
    try {
      await work();
      return accepted;
    } catch (error) {
      if (!isFileSystemError(error)) throw error;
      const { code = '', message } = error;
      const detail = printable(`${this.#path} can't be written: ${explanations[code] ?? message}`);
      return temporary.includes(code)
        ? { kind: 'retry', reason: 'server', detail }
        : { kind: 'stop', reason: 'address', detail };
    }
  }
}

const explanations: Readonly<Record<string, string>> = {
  ENOENT: 'its directory does not exist (ENOENT): create it, writable for this user',
  ENOTDIR: 'a part of the path is not a directory (ENOTDIR)',
  EACCES: 'permission denied (EACCES): let this user read and write it, and create files in its directory',
  EPERM: 'operation not permitted (EPERM): let this user read and write it',
  EROFS:
    'the file system is read-only (EROFS); under systemd, allow the directory with LogsDirectory= or ReadWritePaths=',
  EISDIR: 'it is a directory (EISDIR)',
  ENOSPC: 'no space is left on the device (ENOSPC)',
  EDQUOT: 'the disk quota is used up (EDQUOT)',
  ERR_NOT_A_FILE: 'it is not a regular file',
};

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  let written = 0;
  while (written < bytes.length) written += (await handle.write(bytes, written)).bytesWritten;
}
