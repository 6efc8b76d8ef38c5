import { constants } from 'node:fs';
import { access, chmod, lstat, mkdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { StateProblem } from '../store.ts';
import { ignore, isFileSystems } from './durable.ts';

/** Creates the directory if it is missing, and makes sure that no other user can write or read there. @throws {StateProblem} */
export async function prepareState(path: string): Promise<void> {
  await usingState(path, async () => {
    await make(resolve(path));
    if (!(await stat(path)).isDirectory()) throw new StateProblem(`${path} is not a directory: set state.directory`);
    const { own, mode } = await requireSafe(path);
    if (own && (mode & 0o020) === 0 && (mode & 0o077) !== 0) await chmod(path, 0o700);
    await access(path, constants.W_OK | constants.X_OK);
    for (const name of ['checkpoints', 'dead-letter', 'evidence']) await refuseLink(join(path, name));
  });
}

/**
 * With those above it. Several first starts may do this at the same time. (Node's `recursive` never ends if the kernel
 * creates no directories, as in /proc.)
 */
async function make(path: string): Promise<void> {
  if ((await stat(path).catch(ignore('ENOENT'))) !== undefined) return;
  if (dirname(path) !== path) await make(dirname(path));
  await mkdir(path, { mode: 0o700 }).catch(ignore('EEXIST'));
}

/** A link inside the directory could lead to where other users write. */
async function refuseLink(path: string): Promise<void> {
  const entry = await lstat(path).catch(ignore('ENOENT'));
  if (entry !== undefined && !entry.isDirectory())
    throw new StateProblem(`${path} is not a directory, and links are not followed here: move it away`);
}

/**
 * Checks that the directory can be used or created, without leaving anything. `parent` is the existing directory that it
 * would be created in. @throws {StateProblem}
 */
export async function examineState(path: string): Promise<{ readonly parent: string } | undefined> {
  return await usingState(path, async () => {
    const existing = await nearest(resolve(path));
    if (existing === resolve(path)) await requireSafe(path);
    await access(existing, constants.W_OK | constants.X_OK);
    return existing === resolve(path) ? undefined : { parent: existing };
  });
}

/** The path itself, or the nearest directory above it that exists. */
async function nearest(path: string): Promise<string> {
  const stats = await stat(path).catch(ignore('ENOENT'));
  if (stats === undefined && dirname(path) !== path) return nearest(dirname(path));
  if (stats?.isDirectory() === true) return path;
  throw Object.assign(new Error(`${path} is not a directory`), { code: 'ENOTDIR' });
}

/**
 * Kubernetes mounts a volume as root's: writable for a group of ours (fsGroup), or for everyone (local-path, emptyDir).
 * The second kind is refused, and a directory inside it is the way out.
 * @throws {StateProblem}
 */
async function requireSafe(path: string): Promise<{ readonly own: boolean; readonly mode: number }> {
  const uid = process.getuid?.() ?? 0;
  const { mode, uid: owner, gid } = await stat(path);
  const wayOut = `set state.directory to a directory inside it that does not exist yet, for example ${join(path, 'state')}: it is created for this user alone`;
  if ((mode & 0o002) !== 0)
    throw new StateProblem(
      `${path} is writable by everyone: ${wayOut}. If it holds a forwarder's files already, run chmod o-w and check that they are yours`,
    );
  const ownGroup =
    (mode & 0o020) !== 0 && owner === 0 && [process.getgid?.(), ...(process.getgroups?.() ?? [])].includes(gid);
  if (owner !== uid && !ownGroup)
    throw new StateProblem(
      `${path} belongs to user ${owner}, and this process runs as user ${uid}: run chown, choose another state.directory, or, if this user may write there, ${wayOut}`,
    );
  return { own: owner === uid, mode };
}

/** Does `work` in the state directory. An error of the file system becomes a StateProblem. */
export async function usingState<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isFileSystems(error)) throw error;
    const { code, message } = error;
    const why =
      code === 'EROFS'
        ? 'is on a read-only file system'
        : code === 'EACCES'
          ? 'is not writable for this user'
          : `can't be used (${message})`;
    throw new StateProblem(`the state directory ${path} ${why}: set state.directory, or STATE_DIRECTORY`);
  }
}
