import { open } from 'node:fs/promises';
import { newKey } from '../../evidence/keys.ts';
import { printable } from '../../lib/printable.ts';
import { type CliContext, UsageError, type Values } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { InputProblem } from './input.ts';

/** `evidence init`: writes a new private key, never over another file. @throws {InputProblem} */
export async function init({ key: path }: Values, cli: CliContext): Promise<number> {
  if (typeof path !== 'string') throw new UsageError('evidence init: write --key FILE');
  const { privatePem, publicPem, id } = newKey();
  try {
    await using file = await open(path, 'wx', 0o600);
    await file.writeFile(privatePem);
    await file.sync();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string') throw error;
    const why = code === 'EEXIST' ? 'exists already, and a key is never overwritten' : `can't be written (${code})`;
    throw new InputProblem(`${printable(path, 500)} ${why}`);
  }
  await cli.print(`${publicPem}key id ${id}\n`);
  return exitCode.done;
}
