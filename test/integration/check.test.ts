import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import type { SimulatorOptions } from '../../src/testing/simulator/simulator.ts';
import { type HecServer, startHecServer } from '../support/hec-server.ts';
import { tcpServer } from '../support/tcp-server.ts';
import { key, newWorkspace, type Workspace } from '../support/workspace.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = newWorkspace();
});
afterEach(() => workspace[Symbol.dispose]());

const splunk = ({ url, token }: Pick<HecServer, 'url' | 'token'>, more = '') =>
  `{ name: splunk, type: splunk-hec, url: "${url}", token: "${token}" ${more} }`;
const stdout = '{ name: console, type: stdout }';

interface Finding {
  readonly check: string;
  readonly result: string;
  readonly detail: string;
  readonly remedies: readonly string[];
}

async function checked(...args: string[]) {
  const { code, stdout: out, stderr } = await workspace.run('check', '--json', ...args);
  const answer = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as { exitCode: number; findings: Finding[] };
  expect(stderr).toBe('');
  expect(answer.exitCode).toBe(code);
  for (const { result, remedies, detail } of answer.findings)
    if (result === 'failed') expect(remedies, detail).not.toEqual([]);
  const find = (name: string) => answer.findings.find(({ check }) => check === name);
  return { code, findings: answer.findings, find };
}

describe('check', () => {
  it('verifies every setting and changes nothing', async () => {
    await using simulator = await startSimulator({ events: 2500, key });
    await using hec = await startHecServer();
    await using collector = await tcpServer();
    const syslog = `{ name: qradar, type: syslog, address: "tcp://127.0.0.1:${collector.port}" }`;
    workspace.configure(simulator.url, [splunk(hec), syslog, stdout]);
    const { code, stdout: text, stderr } = await workspace.run('check');
    expect(code, text + stderr).toBe(0);
    const marks = text.trimEnd().split('\n');
    expect(marks.filter((line) => !line.startsWith('✓ '))).toEqual([]);
    for (const said of [
      /configuration .*config\.yaml.*splunk \(splunk-hec\), qradar \(syslog\), console \(stdout\)/,
      /state directory .* does not exist yet and can be created in/,
      /free space +\d+ MiB are free/,
      /lock +free/,
      /checkpoints +first start, by source.startAt: splunk, qradar, console/,
      /source connection .* \(\d+ ms\)/,
      /API key +accepted by .* \(\d+ ms\)/,
      /key restriction +the key can read the audit log alone/,
      new RegExp(`newest event +${simulator.lastId()} \\(20.*more than 1000 newer`),
      /clock +agrees/,
      /splunk: health .*is up/,
      /splunk: token .*accepts/,
      /qradar: connection .*accepts/,
      /console: output/,
    ])
      expect(text).toMatch(said);
    expect(text).not.toContain(hec.token);
    expect(hec.events).toEqual([]);
    expect(collector.received.flat()).toEqual([]);
    expect(existsSync(workspace.state)).toBe(false);
    const paths = new Set(simulator.requests.map(({ path }) => path));
    expect([...paths].sort()).toEqual(['/api/public/v0/audit-logs', '/api/public/v0/project']);
  });

  it('leaves the state as it is, also beside a running daemon', async () => {
    await using simulator = await startSimulator({ events: 40, key });
    workspace.configure(simulator.url, [stdout]);
    await workspace.run('once');
    const contents = () =>
      readdirSync(workspace.state, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), 'utf8')])
        .sort();
    const before = contents();
    expect((await checked()).find('lock')?.detail).toBe('free');
    expect(contents()).toEqual(before);
    const daemon = workspace.start('run');
    await daemon.until((stderr) => stderr.includes('pipeline.start'));
    const { code, find } = await checked();
    expect(code).toBe(0);
    expect(find('lock')?.detail).toContain(`process ${daemon.child.pid}`);
    expect(find('checkpoints')?.detail).toBe('every sink has one');
    expect(find('newest event')?.detail).toMatch(new RegExp(`^${simulator.lastId()} .*newer than what the sinks have`));
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toBe(0);
  });

  it('reports every problem of a configuration, each with a remedy, and connects to nothing', async () => {
    await using simulator = await startSimulator({ events: 1, key });
    workspace.configure(simulator.url, ['{ name: console, type: stout }'], ', pageSize: 0');
    const { code, findings } = await checked();
    expect(code).toBe(78);
    expect(findings.map(({ detail }) => detail)).toEqual([
      expect.stringContaining('source.pageSize'),
      expect.stringContaining('did you mean stdout?'),
    ]);
    expect(findings.map(({ detail }) => /config\.yaml:\d+:\d+/.test(detail))).toEqual([true, true]);
    const text = await workspace.run('check');
    expect(text.stdout.match(/✗/g)).toHaveLength(2);
    expect(text.stdout.match(/ {4}→ /g)).toHaveLength(2);
    expect(simulator.requestCount).toBe(0);
  });

  it('--offline verifies the configuration only', async () => {
    await using simulator = await startSimulator({ events: 1, key });
    workspace.configure(simulator.url, [stdout]);
    const { code, findings } = await checked('--offline');
    expect({ code, checks: findings.map(({ check }) => check) }).toEqual({ code: 0, checks: ['configuration'] });
    expect(simulator.requestCount).toBe(0);
    expect((await workspace.run('check', '--offline', '--send-test-event')).code).toBe(64);
  });

  it.each([
    ['401', 77, /create a new one/],
    ['402', 77, /Business and Enterprise/],
    ['403', 77, /allowlist/],
    ['404', 78, /source.url/],
    ['500', 69, /again/],
    ['html', 69, /captive portal/],
    ['redirect', 69, /leads to/],
    ['429', 69, /requestsPerSecond/],
    ['truncated', 69, /what answers/],
    ['reset', 69, /firewall/],
  ] as const)(
    'ends with the right code and a remedy when the source answers %s (%i)',
    async (kind, expected, remedy) => {
      await using simulator = await startSimulator({ events: 1, key, faults: [{ kind, share: 1 }] });
      workspace.configure(simulator.url, [stdout]);
      const { code, find } = await checked();
      expect(code).toBe(expected);
      expect(find('API key')).toMatchObject({ result: 'failed' });
      expect(find('API key')?.remedies.join()).toMatch(remedy);
      expect(find('console: output')?.result).toBe('ok');
    },
  );

  it('ends with 69 for a name that does not resolve and for a closed port', async () => {
    workspace.configure('https://tenant.invalid', [stdout]);
    const unresolved = await checked();
    expect(unresolved.code).toBe(69);
    expect(unresolved.find('source address')).toMatchObject({
      result: 'failed',
      detail: expect.stringMatching(/tenant\.invalid/),
    });
    expect(unresolved.find('API key')).toBeUndefined();
    workspace.configure('http://127.0.0.1:1', [stdout]);
    const refused = await checked();
    expect(refused.code).toBe(69);
    expect(refused.find('source connection')).toMatchObject({ detail: expect.stringContaining('ECONNREFUSED') });
  });

  it.each([
    ['warn', 0, 'warning'],
    ['require', 77, 'failed'],
    ['off', 0, 'skipped'],
  ] as const)('judges an unrestricted key by restrictedKey: %s (%i)', async (policy, code, result) => {
    await using simulator = await startSimulator({ events: 1, key, restricted: false });
    workspace.configure(simulator.url, [stdout], `, restrictedKey: ${policy}`);
    const answer = await checked();
    expect(answer).toMatchObject({ code });
    expect(answer.find('key restriction')).toMatchObject({ result });
    if (policy === 'off') expect(simulator.requests.some(({ path }) => path.endsWith('/project'))).toBe(false);
    else expect(answer.find('key restriction')?.remedies.join()).toContain('SIEM-LOG-ONLY-');
  });

  const clocks: [number, string, RegExp][] = [
    [0, 'ok', /agrees/],
    [-120_000, 'warning', /ahead of the server by 1\d\d\./],
    [120_000, 'warning', /behind the server by 1\d\d\./],
  ];
  it.each(clocks)('reports a clock that is %i ms off as %s', async (clockOffsetMs, result, detail) => {
    const options: SimulatorOptions = { events: 1, key, clockOffsetMs };
    await using simulator = await startSimulator(options);
    workspace.configure(simulator.url, [stdout]);
    const answer = await checked();
    expect(answer.code).toBe(0);
    expect(answer.find('clock')).toMatchObject({ result, detail: expect.stringMatching(detail) });
  });

  it('ends with 73 and a remedy for an unusable state directory', async () => {
    await using simulator = await startSimulator({ events: 1, key });
    workspace.configure(simulator.url, [stdout]);
    writeFileSync(workspace.state, 'a file');
    const file = await checked();
    expect(file).toMatchObject({ code: 73 });
    expect(file.find('state directory')?.remedies.join()).toContain('state.directory');
    expect(readFileSync(workspace.state, 'utf8')).toBe('a file');
  });

  it('ends with 78 for a damaged checkpoint, also if the key is rejected', async () => {
    await using simulator = await startSimulator({ events: 1, key: 'another' });
    workspace.configure(simulator.url, [stdout]);
    mkdirSync(join(workspace.state, 'checkpoints'), { recursive: true, mode: 0o700 });
    writeFileSync(join(workspace.state, 'checkpoints', 'console.json'), 'x', { mode: 0o600 });
    const { code, find } = await checked();
    expect(code).toBe(78);
    expect(find('checkpoints')?.remedies.join()).toContain('cursor set console ID');
    expect(find('API key')).toMatchObject({ result: 'failed' });
    expect(readFileSync(join(workspace.state, 'checkpoints', 'console.json'), 'utf8')).toBe('x');
  });

  it('verifies every sink if the source fails, and ends with 69 for a rejected token', async () => {
    await using simulator = await startSimulator({ events: 1, key: 'another' });
    await using hec = await startHecServer({ tokenState: 'disabled' });
    const down = '{ name: qradar, type: syslog, address: "tcp://127.0.0.1:1" }';
    workspace.configure(simulator.url, [splunk(hec), down]);
    const both = await checked();
    expect(both.code).toBe(77);
    expect(both.find('splunk: health')).toMatchObject({ result: 'ok' });
    expect(both.find('splunk: token')).toMatchObject({
      result: 'failed',
      detail: expect.stringContaining('token is disabled'),
    });
    expect(both.find('qradar: connection')).toMatchObject({
      result: 'failed',
      detail: expect.stringContaining('ECONNREFUSED'),
    });
    simulator.setKey(key);
    expect((await checked()).code).toBe(69);
  });

  it('reports an unreachable collector once, and whether a reachable one acknowledges', async () => {
    await using simulator = await startSimulator({ events: 1, key });
    await using hec = await startHecServer({ tokenState: 'ack' });
    workspace.configure(simulator.url, [
      splunk(hec),
      '{ name: gone, type: splunk-hec, url: "http://127.0.0.1:1", token: x }',
    ]);
    const { code, find, findings } = await checked();
    expect(code).toBe(69);
    expect(find('splunk: token')?.detail).toMatch(/accepts; .*acknowledge/);
    expect(findings.filter(({ check }) => check.startsWith('gone'))).toMatchObject([
      { check: 'gone: health', result: 'failed' },
    ]);
  });

  it('--send-test-event delivers one marked event to each sink in its format, whatever its filter', async () => {
    await using simulator = await startSimulator({ events: 1, key });
    await using hec = await startHecServer({ tokenState: 'ack' });
    await using collector = await tcpServer();
    const syslog = `{ name: qradar, type: syslog, format: leef, address: "tcp://127.0.0.1:${collector.port}" }`;
    workspace.configure(simulator.url, [
      splunk(hec, ', filter: { include: ["user.*"] }, redact: ["ip"]'),
      syslog,
      stdout,
    ]);
    const { code, stdout: out } = await workspace.run('check', '--json', '--send-test-event');
    expect(code, out).toBe(0);
    const [onStdout = '', answer = ''] = out.trimEnd().split('\n');
    expect(JSON.parse(onStdout)).toMatchObject({ id: 0, action: 'siem_forwarder.test', meta: { test: true } });
    const { findings } = JSON.parse(answer) as { findings: Finding[] };
    const sent = findings.filter(({ check }) => check.endsWith('test event'));
    expect(sent.map(({ check, result }) => [check, result])).toEqual([
      ['splunk: test event', 'ok'],
      ['qradar: test event', 'ok'],
      ['console: test event', 'ok'],
    ]);
    expect(hec.events.map(({ raw }) => JSON.parse(raw.toString()))).toEqual([
      expect.objectContaining({ id: 0, action: 'siem_forwarder.test', ip: '[redacted]' }),
    ]);
    const received = Buffer.concat(collector.received.flat()).toString();
    expect(received.match(/LEEF:2\.0/g)).toHaveLength(1);
    expect(received).toContain('TEST EVENT');
    expect(existsSync(workspace.state)).toBe(false);
  });

  it('ends at once at Ctrl-C', async () => {
    await using simulator = await startSimulator({ events: 1, key, latencyMs: 60_000 });
    workspace.configure(simulator.url, [stdout]);
    const running = workspace.start('check');
    await expect.poll(() => simulator.requestCount, { timeout: 30_000 }).toBeGreaterThan(0);
    running.child.kill('SIGINT');
    expect(await running.ended).toBe(0);
    expect(running.stdout()).toMatch(/! source .*interrupted/);
  });
});
