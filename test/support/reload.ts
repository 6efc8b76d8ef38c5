import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Program } from './program.ts';

export const read = (file: string): string => readFileSync(file, 'utf8');

/** How often the daemon took its configuration up again. */
const reloads = (stderr: string) => stderr.split('"event":"daemon.start"').length - 2;

/** Writes the configuration, and waits until it is in force. */
export async function change(program: Program, file: string, text: string): Promise<void> {
  const before = reloads(program.stderr());
  writeFileSync(file, text);
  program.child.kill('SIGHUP');
  await program.until((stderr) => reloads(stderr) > before);
}

export async function stop(program: Program): Promise<void> {
  program.child.kill('SIGTERM');
  expect(await program.ended, program.stderr()).toBe(0);
}
