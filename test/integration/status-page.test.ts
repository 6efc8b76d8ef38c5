import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { startProgram } from '../support/program.ts';
import { scratch } from '../support/scratch.ts';

const browser = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const { directory } = scratch();
const key = 'SIEM-LOG-ONLY-demo';
let runs = 0;

/** The document that a browser renders, and its console errors. */
function browse(address: string): { dom: string; complaints: string[] } {
  const profile = join(directory, `profile-${++runs}`);
  const { stdout, stderr } = spawnSync(
    browser ?? '',
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      `--user-data-dir=${profile}`,
      '--enable-logging=stderr',
      '--dump-dom',
      `http://${address}/`,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  );
  return { dom: stdout, complaints: stderr.split('\n').filter((line) => /CONSOLE|Content Security Policy/.test(line)) };
}

/** The daemon against a simulator, and the address of its listener. */
async function daemonAt(url: string, apiKey: string) {
  const file = join(directory, `config-${++runs}.yaml`);
  const text = `source: { url: "${url}", apiKey: ${apiKey}, schedule: "* * * * * *", onKeyRejected: wait }
state: { directory: "${join(directory, `state-${runs}`)}" }
sinks: [{ type: stdout }, { type: syslog, address: "tcp://127.0.0.1:9", name: siem }]
telemetry: { listen: "127.0.0.1:0" }
`;
  writeFileSync(file, text, { mode: 0o600 });
  const program = startProgram(['run', '-c', file]);
  let address = '';
  await program.until((stderr) => {
    address = /"telemetry.listening","address":"([^"]+)"/.exec(stderr)?.[1] ?? '';
    return address !== '';
  });
  return { program, address };
}

describe.skipIf(browser === undefined)('the status page in a browser (skipped without chromium)', () => {
  it('renders completely, without errors, and distinguishes a failing sink from a working one', async () => {
    await using simulator = await startSimulator({ events: 20, key });
    const { program, address } = await daemonAt(simulator.url, key);
    await program.until((stderr, stdout) => stderr.includes('pipeline.retry') && stdout.split('\n').length > 20);
    const { dom, complaints } = browse(address);
    expect(complaints).toEqual([]);
    expect(dom).toContain('<title>Ready: qasphere-siem-forwarder</title>');
    expect(dom).toMatch(/stdout <span class="state good">ok</);
    expect(dom).toMatch(/siem <span class="state bad">failing</);
    expect(dom).toContain('</footer>');
    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
  });

  it('shows that the key is rejected', async () => {
    await using simulator = await startSimulator({ events: 20, key: 'another' });
    const { program, address } = await daemonAt(simulator.url, key);
    await program.until((stderr) => stderr.includes('source.refused'));
    const { dom, complaints } = browse(address);
    expect(complaints).toEqual([]);
    expect(dom).toContain('<title>Not ready: qasphere-siem-forwarder</title>');
    expect(dom).toMatch(/QA Sphere <span class="state bad">key rejected</);
    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
  });
});
