import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { scratch } from '../support/scratch.ts';

const { file } = scratch();
const source = (name: string) => fileURLToPath(new URL(`../../src/${name}`, import.meta.url));

/** What a process writes to a stderr that JOURNAL_STREAM names, or another. */
function written(name: string, args: readonly string[], stream: (dev: number, ino: number) => string): string {
  const path = file(name, '');
  const { dev, ino } = statSync(path);
  const stderr = openSync(path, 'a');
  spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', stderr], env: { JOURNAL_STREAM: stream(dev, ino) } });
  closeSync(stderr);
  return readFileSync(path, 'utf8');
}

const log = `
  const { createLogger } = await import(${JSON.stringify(source('telemetry/logger.ts'))});
  const { stderrIsJournal } = await import(${JSON.stringify(source('telemetry/systemd-journal.ts'))});
  const logger = createLogger({ level: 'trace', terminal: false, journal: stderrIsJournal(process.env) });
  for (const level of ['fatal', 'error', 'warn', 'info', 'debug', 'trace']) logger.log(level, { a: 1 }, level);
`;

describe('a log line in the journal', () => {
  it('carries the priority of its level, and is JSON behind that', () => {
    const lines = written('a', ['--input-type=module', '-e', log], (dev, ino) => `${dev}:${ino}`)
      .trim()
      .split('\n');
    expect(lines.map((line) => line.slice(0, 3))).toEqual(['<2>', '<3>', '<4>', '<6>', '<7>', '<7>']);
    expect(lines.map((line) => JSON.parse(line.slice(3)).level)).toEqual([
      'fatal',
      'error',
      'warn',
      'info',
      'debug',
      'trace',
    ]);
  });

  it('has none where stderr goes elsewhere, as to a file', () => {
    const lines = written('b', ['--input-type=module', '-e', log], (dev, ino) => `${dev}:${ino + 1}`).trim();
    expect(lines.split('\n').every((line) => line.startsWith('{'))).toBe(true);
  });

  it('is an error where it is said outside the log', () => {
    expect(written('c', [source('main.ts'), 'rnu'], (dev, ino) => `${dev}:${ino}`)).toMatch(
      /^<3>qasphere-siem-forwarder: there is no command "rnu"/,
    );
  });
});
