import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FileBackend } from '../../src/state/file/file-backend.ts';
import { MemoryBackend } from '../../src/state/memory.ts';
import { stateConformance } from '../../src/testing/state-conformance.ts';

const now = () => Date.UTC(2026, 10, 24, 12);
const runner = { describe, it };

stateConformance(runner, {
  name: 'state in files',
  async start() {
    const parent = await mkdtemp(join(tmpdir(), 'state-'));
    return {
      directory: join(parent, 'state'),
      [Symbol.asyncDispose]: () => rm(parent, { recursive: true, force: true }),
    };
  },
  open: ({ directory }) => new FileBackend({ directory, emit: () => {}, now }),
});

stateConformance(runner, {
  name: 'state in memory',
  start: async () => new MemoryBackend(now),
  open: (backend) => backend,
});

const unused = join(tmpdir(), 'state-that-is-only-examined');
it('a file backend creates nothing before its first write', async () => {
  const backend = new FileBackend({ directory: unused, emit: () => {}, now });
  const shared = backend.share({ name: 'acme', origin: 'https://acme.eu1.qasphere.com' });
  expect(await shared.inspect()).toEqual([]);
  expect(await shared.deadLetters('splunk').count()).toBe(0);
  expect(await shared.operations(0)).toEqual({ entries: [], end: 0 });
  await backend.examine();
  expect(existsSync(unused)).toBe(false);
});
afterAll(() => rm(unused, { recursive: true, force: true }));
