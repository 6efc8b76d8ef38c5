import { constants } from 'node:fs';
import { access, chmod, lstat, mkdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { StateProblem } from '../store.ts';

/** Makes the directory where it is missing, and sees to it that nobody else can write or read there. @throws {StateProblem} */
export async function prepareState(path: string): Promise<void> {
  await usingState(path, async () => {
    await make(resolve(path));
    const { own, mode } = await judge(path);
    if (own && (mode & 0o020) === 0 && (mode & 0o077) !== 0) await chmod(path, 0o700);
    await access(path, constants.W_OK | constants.X_OK);
    for (const name of ['checkpoints', 'dead-letter']) await refuseLink(join(path, name));
  });
}

/** With all above it. (Node's `recursive` asks for ever where the kernel makes no directories, as in /proc.) */
async function make(path: string): Promise<void> {
  if ((await stat(path).catch(ignoreMissing)) !== undefined) return;
  if (dirname(path) !== path) await make(dirname(path));
  await mkdir(path, { mode: 0o700 });
}

/** What stands inside must be there itself: a link could lead to where others write. */
async function refuseLink(path: string): Promise<void> {
  const entry = await lstat(path).catch(ignoreMissing);
  if (entry !== undefined && !entry.isDirectory())
    throw new StateProblem(`${path} is no directory, and no link is followed there: move it away`);
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/**
 * Whether the directory is there and can be used, or can be made: tried without leaving anything. `inside` is the
 * directory it would be made in. @throws {StateProblem}
 */
export async function examineState(path: string): Promise<{ readonly inside: string } | undefined> {
  return await usingState(path, async () => {
    const there = await nearest(resolve(path));
    if (there === resolve(path)) await judge(path);
    await access(there, constants.W_OK | constants.X_OK);
    return there === resolve(path) ? undefined : { inside: there };
  });
}

/** The path itself, or the nearest directory above it that exists. */
async function nearest(path: string): Promise<string> {
  try {
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    return nearest(dirname(path));
  }
  throw Object.assign(new Error(`${path} is no directory`), { code: 'ENOTDIR' });
}

async function judge(path: string): Promise<{ readonly own: boolean; readonly mode: number }> {
  const uid = process.getuid?.() ?? 0;
  const { mode, uid: owner, gid } = await stat(path);
  if ((mode & 0o002) !== 0)
    throw new StateProblem(`${path} can be written by everyone: chmod o-w it, then look whether its files are yours`);
  const ownGroup =
    (mode & 0o020) !== 0 && owner === 0 && [process.getgid?.(), ...(process.getgroups?.() ?? [])].includes(gid);
  // Kubernetes (fsGroup) mounts volumes as root's, writable for a group of ours.
  if (owner !== uid && !ownGroup)
    throw new StateProblem(
      `${path} belongs to user ${owner}, this process runs as ${uid}: chown it, or choose another state.directory`,
    );
  return { own: owner === uid, mode };
}

/** Does `work` in the state directory; what the file system says against it becomes a StateProblem. */
export async function usingState<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // Node's own errors (ERR_…) and ours are no word of the file system.
    if (!/^E[A-Z0-9]+$/.test(code ?? '')) throw error;
    const why =
      code === 'EROFS'
        ? 'is on a read-only file system'
        : code === 'EACCES'
          ? 'is not writable for this user'
          : `can't be used (${message})`;
    throw new StateProblem(`the state directory ${path} ${why}: set state.directory, or STATE_DIRECTORY`);
  }
}
