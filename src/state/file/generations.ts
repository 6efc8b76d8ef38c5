import { link, lstat, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { printable } from '../../lib/printable.ts';
import { ignore, readText, syncDirectory } from './durable.ts';
import { type Checkpoint, CheckpointProblem } from '../store.ts';
import { parse } from '../checkpoint-text.ts';

/** One of a sink's two files, whatever state it is in. */
export type Generation =
  | { readonly kind: 'missing' }
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint; readonly updatedAt: string }
  /** `newer`: written by a newer version of this program. */
  | { readonly kind: 'damaged' | 'newer'; readonly detail: string };

/** Both files of a sink. */
export interface Generations {
  readonly newest: Generation;
  readonly previous: Generation;
}

/** The newest file of a sink, and the generation before it. */
export function pathsOf(directory: string, sink: string): { readonly newest: string; readonly previous: string } {
  return { newest: join(directory, `${sink}.json`), previous: join(directory, `${sink}.previous.json`) };
}

/** Looks at both files and judges neither; works where the directory is missing. @throws the file system's error */
export async function readGenerations(directory: string, sink: string): Promise<Generations> {
  const paths = pathsOf(directory, sink);
  const [newest, previous] = await Promise.all([
    readGeneration(paths.newest, sink),
    readGeneration(paths.previous, sink),
  ]);
  return { newest, previous };
}

/** The generation that a start would go on from; undefined where there is none. */
export function usable({ newest, previous }: Generations): Extract<Generation, { kind: 'checkpoint' }> | undefined {
  if (newest.kind === 'newer' || previous.kind === 'newer') return undefined;
  if (newest.kind === 'checkpoint') return newest;
  return previous.kind === 'checkpoint' ? previous : undefined;
}

/** Names of all sinks with a file here, damaged ones too; none where the directory is missing. */
export async function sinksIn(directory: string): Promise<string[]> {
  const names = (await readdir(directory).catch(ignore('ENOENT'))) ?? [];
  const sinks = names.flatMap((name) => /^([a-z0-9][a-z0-9_-]{0,62})(?:\.previous)?\.json$/.exec(name)?.[1] ?? []);
  return [...new Set(sinks)].sort();
}

/** Removes both files; durable when it resolves. After a crash in between the newest is still there. */
export async function removeGenerations(directory: string, sink: string): Promise<void> {
  const paths = pathsOf(directory, sink);
  await unlink(paths.previous).catch(ignore('ENOENT'));
  await unlink(paths.newest).catch(ignore('ENOENT'));
  await syncDirectory(directory);
}

/** Whether both names lead to one file: what `moveFile` leaves when it is cut off. @throws the file system's error */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([lstat(a).catch(ignore('ENOENT')), lstat(b).catch(ignore('ENOENT'))]);
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

/**
 * Gives `from` the name `to`, which must not be another file's: never overwrites. Gives false where `from` is missing.
 * @throws the file system's error, EEXIST where `to` is there
 */
export async function moveFile(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    if (code === 'EEXIST' && (await isSameFile(from, to))) {
      await unlink(from);
      return true;
    }
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EMLINK' && code !== 'ENOSYS') throw error;
    // No hard links here: look first.
    if ((await lstat(to).catch(ignore('ENOENT'))) !== undefined)
      throw Object.assign(new Error(`${to} is there already`), { code: 'EEXIST' });
    await rename(from, to);
    return true;
  }
  await unlink(from);
  return true;
}

async function readGeneration(path: string, sink: string): Promise<Generation> {
  try {
    const text = await readText(path);
    return text === undefined ? { kind: 'missing' } : parse(text, sink);
  } catch (error) {
    if (error instanceof CheckpointProblem) return { kind: 'newer', detail: error.message };
    if ((error as NodeJS.ErrnoException).code === 'ELOOP') return { kind: 'damaged', detail: 'it is a link' };
    if ((error as NodeJS.ErrnoException).code === 'EISDIR') return { kind: 'damaged', detail: 'it is a directory' };
    if (error instanceof SyntaxError) return { kind: 'damaged', detail: printable(error.message) };
    throw error;
  }
}
