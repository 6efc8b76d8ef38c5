import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';

/** A directory for the tests of one file, gone after them. */
export function scratch() {
  const directory = mkdtempSync(join(tmpdir(), 'forwarder-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  return {
    directory,
    /** Writes a file, its directories too, and returns its path. */
    file(name: string, text: string, mode = 0o600): string {
      const path = join(directory, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      chmodSync(path, mode);
      return path;
    },
  };
}
