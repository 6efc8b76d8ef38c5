import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach } from 'vitest';

/** Resources that a test must give back: sockets, servers and child processes. Timers end with their owners. */
const owned = ['TCPSocketWrap', 'TCPServerWrap', 'UDPWrap', 'ProcessWrap', 'TLSWrap'];
/** How long a closed resource may take to disappear, milliseconds. */
const settleMs = 5_000;

/** A directory for the temporary files of this test file alone, so that what is left behind is seen. */
const directory = mkdtempSync(join(tmpdir(), 'test-file-'));
mkdirSync(join(directory, 'tmp'));
process.env['TMPDIR'] = join(directory, 'tmp');

function held(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo())
    if (owned.includes(type)) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}

function leaked(before: ReadonlyMap<string, number>): string[] {
  return [...held()]
    .filter(([type, count]) => count > (before.get(type) ?? 0))
    .map(([type, count]) => `${count - (before.get(type) ?? 0)} ${type}`);
}

/** Waits until nothing is held beyond `before`. @throws Error that names what is */
async function expectReleased(before: ReadonlyMap<string, number>): Promise<void> {
  const deadlineMs = performance.now() + settleMs;
  while (leaked(before).length > 0 && performance.now() < deadlineMs) await wait(10);
  const left = leaked(before);
  if (left.length > 0) throw new Error(`the test left open: ${left.join(', ')}`);
}

const atStart = held();
let before = atStart;
beforeEach(() => {
  before = held();
});
// Hooks of this file run around those of the test file: what its own hooks close is closed by now.
afterEach(async ({ task }) => {
  // Concurrent tests share resources, so a leak can't be attributed to one of them.
  if (task.concurrent !== true) await expectReleased(before);
});
afterAll(async () => {
  await expectReleased(atStart);
  const left = readdirSync(join(directory, 'tmp'));
  rmSync(directory, { recursive: true, force: true });
  if (left.length > 0) throw new Error(`the tests of this file left temporary files: ${left.slice(0, 5).join(', ')}`);
});
