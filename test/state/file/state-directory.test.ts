import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { prepareState } from '../../../src/state/file/state-directory.ts';
import { scratch } from '../../support/scratch.ts';

const place = scratch();

describe('a state directory that is missing', () => {
  it('is created with those above it, for its owner alone', async () => {
    const path = join(place.directory, 'a', 'b', 'state');
    await prepareState(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it('is created once by several first starts at the same time', async () => {
    const path = join(place.directory, 'first', 'starts', 'state');
    await Promise.all(Array.from({ length: 20 }, () => prepareState(path)));
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it.skipIf(!existsSync('/proc/self'))('is a problem if the kernel creates none (skipped without /proc)', async () => {
    await expect(prepareState('/proc/state')).rejects.toThrow("can't be used");
  });
});

describe('a state volume as Kubernetes mounts it', () => {
  const volume = (name: string, mode: number) => {
    const path = join(place.directory, name);
    mkdirSync(path);
    chmodSync(path, mode);
    return path;
  };

  it.each([
    ['local-path, kind, minikube: root, 0777', 0o777],
    ['emptyDir with fsGroup: 02777', 0o2777],
  ])('is refused itself, and a directory inside it is the way out: %s', async (name, mode) => {
    const path = volume(name.replace(/\W+/g, '-'), mode);
    const inside = join(path, 'state');
    await expect(prepareState(path)).rejects.toThrow(`for example ${inside}`);
    await prepareState(inside);
    expect(statSync(inside).mode & 0o777).toBe(0o700);
    await prepareState(inside);
  });
});
