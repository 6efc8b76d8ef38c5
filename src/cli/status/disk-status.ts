import { join } from 'node:path';
import type { Config } from '../../config/schema.ts';
import { linesOf, openForReading } from '../../state/file/dead-letter-lines.ts';
import { holderOf } from '../../state/file/lock.ts';
import { usingState } from '../../state/file/state-directory.ts';
import { type CursorRow, lookAtCursors } from '../cursor/list-cursors.ts';

/** What the state directory tells of one sink. */
export interface SinkOnDisk extends CursorRow {
  /** Events set aside, and those set aside by `replay`. */
  readonly deadLetters: number;
  readonly deadLettersOfReplay: number;
}

export interface DiskStatus {
  readonly directory: string;
  /** Who holds the state directory, in words: it runs, though it does not answer. */
  readonly holder: string | undefined;
  readonly sinks: readonly SinkOnDisk[];
}

/** How the sinks stand as the state directory has it. Reads alone. @throws {StateProblem} */
export async function diskStatus(config: Config): Promise<DiskStatus> {
  const { directory } = config.state;
  const letters = join(directory, 'dead-letter');
  return usingState(directory, async () => {
    const sinks = (await lookAtCursors(config)).map(async (row): Promise<SinkOnDisk> => {
      const deadLetters = await countLines(join(letters, `${row.sink}.ndjson`));
      const deadLettersOfReplay = await countLines(join(letters, `${row.sink}.replay.ndjson`));
      return { ...row, deadLetters, deadLettersOfReplay };
    });
    return { directory, holder: await holderOf(directory), sinks: await Promise.all(sinks) };
  });
}

async function countLines(path: string): Promise<number> {
  const file = await openForReading(path);
  if (file === undefined) return 0;
  await using _ = file;
  let count = 0;
  for await (const { bytes } of linesOf(file)) if (bytes.length > 0) count += 1;
  return count;
}
