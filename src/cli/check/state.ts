import { statfs } from 'node:fs/promises';
import type { Config } from '../../config/schema.ts';
import { type Finding, failed, ok, timed, warning } from '../../lib/finding.ts';
import { holderOf } from '../../state/file/lock.ts';
import { examineState } from '../../state/file/state-directory.ts';
import { StateProblem } from '../../state/store.ts';
import { type CursorRow, lookAtCursors } from '../cursor/list-cursors.ts';

const scarceBytes = 100 * 1024 ** 2;
const mebibyte = 1024 ** 2;
/** Types of file systems over a network (statfs(2)): their locks and syncs can't be relied on. */
const remote: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
]);

const remedy = 'set state.directory, or STATE_DIRECTORY, to a directory that this user alone can write to';

export interface StateCheck {
  readonly findings: Finding[];
  readonly cursors: readonly CursorRow[];
  /** A daemon runs. */
  readonly held: boolean;
}

/** What the state directory is good for; nothing is made or changed there. */
export async function checkState(config: Config): Promise<StateCheck> {
  const { directory } = config.state;
  let place = directory;
  let usable = true;
  const first = await timed(async () => {
    try {
      const missing = await examineState(directory);
      if (missing === undefined) return ok('state directory', `${directory} is writable`);
      place = missing.inside;
      return ok('state directory', `${directory} is not there yet and can be made in ${place}`);
    } catch (error) {
      if (!(error instanceof StateProblem)) throw error;
      usable = false;
      return failed('state directory', 'state', error.message, remedy);
    }
  });
  if (!usable) return { findings: [first], cursors: [], held: false };
  const space = await timed(() => checkSpace(place));
  let held = false;
  const lock = await timed(async () => {
    const { finding, holder } = await checkLock(directory);
    held = holder !== undefined;
    return finding;
  });
  let cursors: CursorRow[] = [];
  const checkpoints = await timed(async () => {
    try {
      cursors = await lookAtCursors(config);
    } catch (error) {
      if (!(error instanceof StateProblem)) throw error;
      return failed('checkpoints', 'state', error.message, `let this user read everything in ${directory}`);
    }
    return judgeCheckpoints(cursors);
  });
  return { findings: [first, space, lock, checkpoints], cursors, held };
}

async function checkSpace(place: string): Promise<Finding> {
  const { bavail, bsize, type } = await statfs(place);
  const bytes = bavail * bsize;
  const said = `${Math.floor(bytes / mebibyte)} MiB are free`;
  if (bytes < mebibyte)
    return failed('free space', 'state', said, 'make room: nothing is delivered that can not be checkpointed');
  const network = remote.get(type);
  if (network !== undefined)
    return warning(
      'free space',
      `${said}; the file system is ${network}`,
      'put state.directory on a local file system',
    );
  return bytes < scarceBytes
    ? warning('free space', said, 'make room: dead letters and checkpoints need some')
    : ok('free space', said);
}

async function checkLock(directory: string): Promise<{ finding: Finding; holder: string | undefined }> {
  try {
    const holder = await holderOf(directory);
    return { finding: ok('lock', holder === undefined ? 'free' : `held by ${holder}: a daemon is running`), holder };
  } catch (error) {
    if (!(error instanceof StateProblem)) throw error;
    const remedy = 'put state.directory on a local file system, readable for this user';
    return { finding: failed('lock', 'state', error.message, remedy), holder: undefined };
  }
}

function judgeCheckpoints(cursors: readonly CursorRow[]): Finding {
  const bad = cursors.filter(
    ({ state, configured }) => configured && ['damaged', 'newer', 'other tenant'].includes(state),
  );
  const [worst] = bad;
  if (worst !== undefined) {
    const said = bad.map(({ sink, state, detail }) => `${sink}: ${state}${detail === undefined ? '' : ` (${detail})`}`);
    const cure =
      worst.state === 'newer'
        ? 'install the newer program again, or move the file away and use "cursor set"'
        : `look up the last delivered id in the SIEM and write it with "cursor set ${worst.sink} ID", or begin anew with "cursor reset ${worst.sink}"`;
    return failed('checkpoints', 'config', said.join('; '), cure);
  }
  const fallback = cursors.filter(({ state, configured }) => configured && state === 'fallback');
  if (fallback.length > 0)
    return warning('checkpoints', fallback.map(({ sink, detail }) => `${sink}: ${detail}`).join('; '));
  const orphans = cursors.filter(({ configured }) => !configured).map(({ sink }) => sink);
  if (orphans.length > 0)
    return warning(
      'checkpoints',
      `not configured: ${orphans.join(', ')}`,
      'if a sink was renamed: "cursor rename OLD NEW"; if it is gone: "cursor reset"',
    );
  const fresh = cursors.filter(({ state }) => state === 'none').map(({ sink }) => sink);
  if (fresh.length === 0) return ok('checkpoints', `every sink has one`);
  return ok('checkpoints', `first start, by source.startAt: ${fresh.join(', ')}`);
}
