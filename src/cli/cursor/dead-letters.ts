import { stat, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ignore, syncDirectory } from '../../state/file/durable.ts';
import { isSameFile, moveFile } from '../../state/file/generations.ts';
import { UsageError } from '../command.ts';

/** A dead letter that gets another name. */
export interface DeadLetterMove {
  readonly directory: string;
  readonly from: string;
  readonly to: string;
  /** An empty file stands there; a start makes one. */
  readonly overEmpty: boolean;
}

const endings = ['.ndjson', '.torn', '.replay.ndjson', '.replay.torn'];

/** The files that a rename moves. @throws {UsageError} where one would overwrite another */
export async function deadLetterMoves(directory: string, sink: string, to: string): Promise<DeadLetterMove[]> {
  const moves: DeadLetterMove[] = [];
  for (const ending of endings) {
    const [from, target] = [join(directory, sink + ending), join(directory, to + ending)];
    const [old, taken] = await Promise.all([sizeOf(from), sizeOf(target)]);
    if (old === undefined) continue;
    const cutOff = await isSameFile(from, target);
    if (taken !== undefined && taken > 0 && old > 0 && !cutOff)
      throw new UsageError(`${target} is there already, and rename never overwrites: put one of the two elsewhere`);
    // Of two where one is empty the other stays.
    if (taken === undefined || old > 0) moves.push({ directory, from, to: target, overEmpty: taken === 0 });
  }
  return moves;
}

/** @throws the file system's error */
export async function moveDeadLetters(moves: readonly DeadLetterMove[]): Promise<void> {
  for (const { directory, from, to, overEmpty } of moves) {
    if (overEmpty) await unlink(to).catch(ignore('ENOENT'));
    await moveFile(from, to);
    await syncDirectory(directory);
  }
}

/** Names to be told, without their directory. */
export const namesOf = (moves: readonly DeadLetterMove[]): string[] => moves.map(({ from }) => basename(from));

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(ignore('ENOENT')))?.size;
}
