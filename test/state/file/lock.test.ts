import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockState, ownerOf } from '../../../src/state/file/lock.ts';
import { StateLocked } from '../../../src/state/store.ts';

const lockFile = fileURLToPath(new URL('../../../src/state/file/lock.ts', import.meta.url));

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lock-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('a directory that was never locked has no owner, and asking creates nothing', async () => {
  expect(await ownerOf(directory)).toBeUndefined();
  expect(await ownerOf(join(directory, 'missing'))).toBeUndefined();
  expect(await readdir(directory)).toEqual([]);
});

it('another process that owns the directory is named until it dies, however it dies', async () => {
  const program = `const { lockState } = await import(${JSON.stringify(lockFile)}); await lockState(${JSON.stringify(directory)}, Date.now); console.log('held'); setInterval(() => {}, 1000)`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(child.stdout, 'data');
    expect(await ownerOf(directory)).toContain(`process ${child.pid} `);
    await expect(lockState(directory, Date.now)).rejects.toThrow(StateLocked);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  expect(await ownerOf(directory)).toBeUndefined();
  const before = await readdir(directory);
  await using _ = await lockState(directory, Date.now);
  expect(await readdir(directory)).toEqual(before);
});
