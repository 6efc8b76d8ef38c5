import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { Authority, certificatesMissing, type Leaf } from '../support/authority.ts';
import { proxyFront, tlsFront } from '../support/fronts.ts';
import { startHecServer } from '../support/hec-server.ts';
import { startProgram } from '../support/program.ts';
import { key, newWorkspace, type Workspace } from '../support/workspace.ts';

interface Finding {
  readonly check: string;
  readonly result: string;
  readonly detail: string;
  readonly remedies: readonly string[];
}

const missing = certificatesMissing;
describe.skipIf(missing !== undefined)(`check over TLS${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  let workspace: Workspace;
  let authority: Authority;
  beforeEach(() => {
    workspace = newWorkspace();
    authority = new Authority();
  });
  afterEach(() => {
    workspace[Symbol.dispose]();
    authority[Symbol.dispose]();
  });

  const stdout = '{ name: console, type: stdout }';
  const trusted = () => `, tls: { caFile: "${authority.caFile}" }`;
  async function checked(...args: string[]) {
    const { code, stdout: out, stderr } = await workspace.run('check', '--json', ...args);
    expect(stderr).toBe('');
    const { findings } = JSON.parse(out) as { findings: Finding[] };
    return { code, find: (name: string) => findings.find(({ check }) => check === name) };
  }

  const ages: [string, number, string, RegExp][] = [
    ['long valid', 90, 'ok', /valid until .* \((89|90) days\)/],
    ['soon over', 5, 'warning', /valid until .* \([45] days\)/],
  ];
  it.each(ages)('reports the dates of a %s certificate of the source', async (_, days, result, detail) => {
    await using simulator = await startSimulator({ events: 1, key });
    await using front = await tlsFront(simulator.url, authority.leaf({ days }));
    workspace.configure(`https://localhost:${front.port}`, [stdout], trusted());
    const { code, find } = await checked();
    expect(code).toBe(0);
    expect(find('source TLS')).toMatchObject({ result, detail: expect.stringMatching(detail) });
    expect(find('API key')).toMatchObject({ result: 'ok' });
  });

  it('trusts the authorities of the system without a caFile', async () => {
    await using simulator = await startSimulator({ events: 1, key });
    await using front = await tlsFront(simulator.url, authority.leaf());
    workspace.configure(`https://localhost:${front.port}`, [stdout]);
    const program = startProgram(['check', '-c', join(workspace.directory, 'config.yaml')], {
      env: { SSL_CERT_FILE: authority.caFile },
    });
    expect(await program.ended, program.stdout()).toBe(0);
    expect(program.stderr()).toBe('');
  });

  it('ends with 69 and a remedy for an expired certificate, an untrusted one, and one for another name', async () => {
    await using simulator = await startSimulator({ events: 1, key });
    const cases: [Leaf, string, string, RegExp][] = [
      [authority.leaf({ days: -3 }), 'localhost', trusted(), /renewed/],
      [authority.leaf(), 'localhost', '', /tls.caFile/],
      [authority.leaf({ names: 'DNS:elsewhere.example' }), 'localhost', trusted(), /another name/],
    ];
    for (const [leaf, host, tls, remedy] of cases) {
      await using front = await tlsFront(simulator.url, leaf);
      workspace.configure(`https://${host}:${front.port}`, [stdout], tls);
      const { code, find } = await checked();
      expect(code).toBe(69);
      expect(find('source TLS')).toMatchObject({ result: 'failed' });
      expect(find('source TLS')?.remedies.join()).toMatch(remedy);
      expect(find('API key')).toMatchObject({ result: 'skipped' });
    }
    expect(simulator.requestCount).toBe(0);
  });

  it('reports the connection to a proxy, and the dates of the source’s certificate behind it', async () => {
    await using simulator = await startSimulator({ events: 1, key });
    await using front = await tlsFront(simulator.url, authority.leaf({ days: 90 }));
    await using proxy = await proxyFront();
    const through = `${trusted()}, proxy: "http://user:a-proxy-secret@127.0.0.1:${proxy.port}"`;
    workspace.configure(`https://localhost:${front.port}`, [stdout], through);
    const { code, find } = await checked();
    expect(code).toBe(0);
    expect(find('proxy connection')).toMatchObject({
      result: 'ok',
      detail: expect.stringContaining(`127.0.0.1:${proxy.port}`),
    });
    expect(find('source TLS')).toMatchObject({ result: 'ok' });
    expect(proxy.connected).toContain(`localhost:${front.port}`);
    expect((await workspace.run('check')).stdout).not.toContain('a-proxy-secret');
  });

  it('names the proxy if the proxy refuses', async () => {
    await using simulator = await startSimulator({ events: 1, key });
    await using front = await tlsFront(simulator.url, authority.leaf());
    await using proxy = await proxyFront(403);
    workspace.configure(
      `https://localhost:${front.port}`,
      [stdout],
      `${trusted()}, proxy: "http://127.0.0.1:${proxy.port}"`,
    );
    const { code, find } = await checked();
    expect(code).toBe(69);
    expect(find('API key')?.detail).toMatch(/the proxy refused the connection .*not because of the key/);
  });

  it('reports the dates of the sinks’ certificates and of the client certificates', async () => {
    await using simulator = await startSimulator({ events: 1, key });
    const { certFile, keyFile } = authority.leaf({ days: 90 });
    const [cert, privateKey] = [readFileSync(certFile), readFileSync(keyFile)];
    await using hec = await startHecServer({ tls: { cert, key: privateKey } });
    const soon = authority.leaf({ days: 5 });
    const collector = createServer({ cert: readFileSync(soon.certFile), key: readFileSync(soon.keyFile) }, (socket) =>
      socket.on('error', () => {}).resume(),
    );
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as { port: number };
    const client = authority.leaf({ days: 3 });
    const files = `caFile: "${authority.caFile}", certFile: "${client.certFile}", keyFile: "${client.keyFile}"`;
    workspace.configure(simulator.url, [
      `{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" ${trusted()} }`,
      `{ name: qradar, type: syslog, address: "tls://localhost:${port}", tls: { ${files} } }`,
      `{ name: stranger, type: syslog, address: "tls://localhost:${port}" }`,
    ]);
    const { code, find } = await checked();
    collector.close();
    expect(code).toBe(69);
    expect(find('splunk: certificate')).toMatchObject({ result: 'ok' });
    expect(find('qradar: connection')).toMatchObject({ result: 'ok' });
    expect(find('qradar: certificate')).toMatchObject({ result: 'warning' });
    expect(find('qradar: client certificate')).toMatchObject({
      result: 'warning',
      detail: expect.stringMatching(/[23] days/),
    });
    expect(find('stranger: connection')).toMatchObject({
      result: 'failed',
      detail: expect.stringContaining('not trusted'),
    });
  });
});
