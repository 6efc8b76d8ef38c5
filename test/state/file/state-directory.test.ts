import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { prepareState } from '../../../src/state/file/state-directory.ts';
import { scratch } from '../../support/scratch.ts';

const place = scratch();

describe('a state directory that is missing', () => {
  it('is made with all above it, for its owner alone', async () => {
    const path = join(place.directory, 'a', 'b', 'state');
    await prepareState(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it.skipIf(!existsSync('/proc/self'))('is a problem where the kernel makes none (skipped without /proc)', async () => {
    await expect(prepareState('/proc/state')).rejects.toThrow("can't be used");
  });
});
