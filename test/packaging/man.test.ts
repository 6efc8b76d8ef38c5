import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { manPage } from '../../packaging/man.ts';

const help = `qasphere-siem-forwarder run: the daemon

usage: qasphere-siem-forwarder run [-c FILE]

  -c, --config FILE  configuration file; a line that is so long that it must be broken somewhere before its end

.a line that begins like a request, with a \\ and 'quotes'
`;
const page = manPage('1.2.3', [{ name: 'run', summary: 'the daemon', help }]);
const groff = spawnSync('groff', ['--version']).error === undefined;

describe('the manual page', () => {
  it('holds the help of each command, line by line, and long lines broken below their text', () => {
    expect(page).toContain(
      '.SS run\nthe daemon.\n.PP\n.nf\n.ft CR\nusage: qasphere\\-siem\\-forwarder run [\\-c FILE]',
    );
    expect(page).toMatch(/configuration file; a line that is so long .*\n {21}\S/);
  });

  it('takes no text for a request', () => {
    expect(page).toContain("\\&.a line that begins like a request, with a \\e and 'quotes'");
  });

  it.skipIf(!groff)(`is understood by groff without a warning${groff ? '' : ' (skipped: there is no groff)'}`, () => {
    const { stderr, stdout, status } = spawnSync('groff', ['-man', '-ww', '-Tutf8'], { input: page, encoding: 'utf8' });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    // Bold and underlined by overstriking.
    const shown = stdout.replaceAll(/.\u0008/g, '');
    for (const text of ['EXIT STATUS', 'SIGHUP', '/etc/credstore/qasphere', 'broken somewhere'])
      expect(shown).toContain(text);
  });
});
