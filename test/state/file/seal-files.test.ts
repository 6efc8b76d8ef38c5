import { appendFileSync, mkdirSync, readFileSync, statSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SealFiles } from '../../../src/state/file/seal-files.ts';
import { StateProblem } from '../../../src/state/store.ts';
import { scratch } from '../../support/scratch.ts';

const { directory } = scratch();
let count = 0;
const newPlace = () => join(directory, String(count++), 'evidence', 'acme', 'splunk');
const open = (place: string) => new SealFiles(place, async () => {});
const may = Date.UTC(2026, 4, 31);

async function linesOf(files: SealFiles): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of files.lines()) lines.push(line);
  return lines;
}

describe('the files of seals', () => {
  it('are one a month, for this user alone', async () => {
    const place = newPlace();
    const files = open(place);
    await files.append('{"seq":1}', may);
    await files.append('{"seq":2}', may + 86_400_000);
    expect(readFileSync(join(place, '2026-05.ndjson'), 'utf8')).toBe('{"seq":1}\n');
    expect(readFileSync(join(place, '2026-06.ndjson'), 'utf8')).toBe('{"seq":2}\n');
    expect(statSync(join(place, '2026-05.ndjson')).mode & 0o777).toBe(0o600);
    expect(statSync(place).mode & 0o777).toBe(0o700);
  });

  it('lose a line that a death cut off, wherever it was cut, and nothing else', async () => {
    for (let cut = 1; cut < 12; cut++) {
      const place = newPlace();
      await open(place).append('{"seq":1}', may);
      await open(place).append('{"seq":22}', may);
      const file = join(place, '2026-05.ndjson');
      truncateSync(file, statSync(file).size - cut);
      const later = open(place);
      expect(await later.newest()).toBe('{"seq":1}');
      await later.append('{"seq":3}', may);
      expect(await linesOf(later)).toEqual(['{"seq":1}', '{"seq":3}']);
    }
  });

  it('lose a torn entry of what is unsealed before the next is added', async () => {
    const place = newPlace();
    await open(place).addUnsealed(['a', 'b']);
    appendFileSync(join(place, 'unsealed'), 'torn');
    const later = open(place);
    expect(await later.unsealed()).toEqual(['a', 'b']);
    await later.addUnsealed(['c']);
    expect(await later.unsealed()).toEqual(['a', 'b', 'c']);
  });

  it('follow no link', async () => {
    const place = newPlace();
    mkdirSync(join(place, '..'), { recursive: true });
    symlinkSync(directory, place);
    await expect(open(place).append('{}', may)).rejects.toThrow(StateProblem);
  });

  it('are written by the owner alone', async () => {
    const files = new SealFiles(newPlace(), () => Promise.reject(new StateProblem('not owned')));
    await expect(files.append('{}', may)).rejects.toThrow('not owned');
    await expect(files.addUnsealed(['x'])).rejects.toThrow('not owned');
    await expect(files.replaceUnsealed([])).rejects.toThrow('not owned');
  });
});
