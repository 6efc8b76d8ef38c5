import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const unshare = ['-rn', 'ip', 'link', 'set', 'lo', 'up'];
const missing = (() => {
  try {
    execFileSync('unshare', unshare, { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'network namespaces (unshare, ip) are not allowed here';
  }
})();
const skipped = missing === undefined ? '' : ` (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`a close of the collector that crosses with ours${skipped}`, () => {
  it('is not treated as an answer to it: what was on its way is handed back', () => {
    const script = join(import.meta.dirname, '../support/crossing-close.ts');
    const said = execFileSync('unshare', ['-rn', process.execPath, script], { encoding: 'utf8' });
    expect(JSON.parse(said)).toEqual({ kinds: ['retry', 'retry'], read: 3 });
  });
});
