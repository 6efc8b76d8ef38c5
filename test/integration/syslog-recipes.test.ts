import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { syslogOptions } from '../../src/sinks/syslog/options.ts';
import { Authority, certificatesMissing } from '../support/authority.ts';
import { rsyslogMissing } from '../support/rsyslog.ts';
import { checkSyslogNg, syslogNgMissing } from '../support/syslog-ng.ts';

const text = readFileSync(join(import.meta.dirname, '../../docs/syslog.md'), 'utf8');
const blocks = (language: string) =>
  [...text.matchAll(new RegExp(`^ *\`\`\`${language}\\n(.*?)^ *\`\`\``, 'gms'))].map(([, block]) => `${block}`);

/** Runs `check` with the recipe, its paths replaced by files of a new authority. */
function withFiles(recipe: string, check: (recipe: string, directory: string) => void): void {
  using authority = new Authority();
  const leaf = authority.leaf();
  const directory = mkdtempSync(join(tmpdir(), 'recipe-'));
  try {
    const local = recipe
      .replace(/\/etc\/[\w.-]+\/[\w-]*ca\.pem/g, authority.caFile)
      .replace(/\/etc\/[\w.-]+\/server\.pem/g, leaf.certFile)
      .replace(/\/etc\/[\w.-]+\/server\.key/g, leaf.keyFile)
      .replaceAll('/var/log', directory);
    check(local, directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe('the recipes in docs/syslog.md', () => {
  it('exist', () => {
    expect([blocks('rsyslog').length, blocks('syslog-ng').length, blocks('yaml').length]).toEqual([2, 1, 2]);
  });

  const noRsyslog = certificatesMissing ?? rsyslogMissing('imrelp', 'mmjsonparse', 'lmnsd_gtls') ?? '';
  it.skipIf(noRsyslog !== '')(`are accepted by rsyslog${noRsyslog && ` (skipped: ${noRsyslog})`}`, () => {
    for (const recipe of blocks('rsyslog'))
      withFiles(recipe, (local, directory) => {
        const file = join(directory, 'rsyslog.conf');
        writeFileSync(
          file,
          `global(workDirectory="${directory}")\naction(type="omfile" file="${directory}/rest")\n${local}`,
        );
        execFileSync('/usr/sbin/rsyslogd', ['-N1', '-f', file], { stdio: 'pipe' });
      });
  });

  const noSyslogNg = certificatesMissing ?? syslogNgMissing ?? '';
  it.skipIf(noSyslogNg !== '')(`are accepted by syslog-ng${noSyslogNg && ` (skipped: ${noSyslogNg})`}`, () => {
    for (const recipe of blocks('syslog-ng')) withFiles(recipe, checkSyslogNg);
  });

  it('are accepted by our configuration', () => {
    for (const recipe of blocks('yaml'))
      withFiles(recipe, (local) => {
        for (const sink of (parse(local) as { sinks: unknown[] }).sinks) syslogOptions.parse(sink);
      });
  });
});
