import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FaultKind } from '../../src/testing/simulator/faults.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { covers, eventually, readCheckpoint, startProgram } from '../support/program.ts';
import { eventText, idOf, key, runs } from '../support/runs.ts';

const { configure, drain, directory } = runs();

describe('a drain with three sinks loses nothing and doubles nothing', () => {
  const passing: readonly FaultKind[] = [
    '408',
    '429',
    '429-date',
    '429-bare',
    '500',
    '502',
    '503',
    '504',
    'reset',
    'reset-body',
    'reset-after',
    'truncated',
    'truncated-gzip',
    'html',
    'mislabelled',
    'no-events',
    'redirect',
  ];

  it.concurrent.each(passing)('through %s in the middle of it', async (kind) => {
    await using simulator = await startSimulator({ events: 500, countCap: 100, key });
    simulator.setFaults([{ kind, share: 0.4, times: 3 }]);
    const { code, stderr, console, first, second } = await drain(simulator.url);
    expect(code, stderr).toBe(0);
    expect(simulator.requests.filter(({ fault }) => fault === kind).length).toBeGreaterThan(0);
    const expected = simulator.generated?.page(0n, 1_000) ?? [];
    expect(console).toEqual(expected);
    expect(first).toEqual(expected);
    expect(second).toEqual(expected);
  });

  it('through a body that is slower than the timeout, asking for less the next time', async () => {
    await using simulator = await startSimulator({ events: 500, key });
    simulator.setFaults([{ kind: 'slow', share: 1, times: 2 }]);
    const { code, stderr, console, first } = await drain(simulator.url, { source: 'timeout: 500ms' });
    expect(code, stderr).toBe(0);
    expect(console).toHaveLength(500);
    expect(first).toEqual(console);
    const counts = simulator.requests.filter(({ path }) => path.endsWith('audit-logs')).map(({ count }) => count);
    expect(counts.slice(0, 3)).toEqual([1000, 500, 250]);
  });

  it('through an empty page that lies about after', async () => {
    await using simulator = await startSimulator({ events: 500, key });
    simulator.setFaults([{ kind: 'empty', share: 1, times: 1 }]);
    const { file } = configure(simulator.url);
    const program = startProgram(['run', '-c', file]);
    await program.until((_, stdout) => stdout.split('\n').length > 500);
    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
    expect(program.stdout().split('\n').slice(0, -1).map(idOf)).toEqual([
      ...new Set(program.stdout().split('\n').slice(0, -1).map(idOf)),
    ]);
  });
});

describe('what stands between the forwarder and QA Sphere is named for what it is', () => {
  it('a name that does not resolve', async () => {
    const { code, stderr } = await drain('https://acme.invalid', {}, ['--patience', '1s']);
    expect(code).toBe(69);
    expect(stderr).toMatch(/ENOTFOUND|EAI_AGAIN/);
  });

  it.each([403, 407])('a proxy that refuses with %i is waited out and is not the key’s fault', async (status) => {
    const proxy = createServer().listen(0, '127.0.0.1');
    // After CONNECT the socket is ours: the program may reset it.
    proxy.on('connect', (_request, socket) => socket.on('error', () => {}).end(`HTTP/1.1 ${status} No\r\n\r\n`));
    await new Promise((resolve) => proxy.once('listening', resolve));
    const { port } = proxy.address() as AddressInfo;
    const source = `proxy: "http://joe:hunter2@127.0.0.1:${port}"`;
    const { code, stderr } = await drain('https://acme.eu1.qasphere.com', { source }, ['--patience', '1s']);
    proxy.close();
    expect(code).toBe(69);
    expect(stderr).toContain('the proxy refused the connection');
    expect(stderr).not.toMatch(/hunter2|fatal/);
  });

  it('a proxy that never answers is retried, and every attempt closes its connection', async () => {
    const open = new Set<Socket>();
    let connections = 0;
    const proxy = createTcpServer((socket) => {
      connections += 1;
      open.add(socket.on('error', () => {}).resume());
      socket.once('close', () => open.delete(socket));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => proxy.once('listening', resolve));
    const source = `timeout: 300ms, proxy: "http://127.0.0.1:${(proxy.address() as AddressInfo).port}"`;
    const { code, stderr } = await drain('https://acme.eu1.qasphere.com', { source }, ['--patience', '2s']);
    await eventually(() => open.size === 0);
    proxy.close();
    expect(code, stderr).toBe(69);
    expect(stderr).toContain('no connection through the proxy');
    expect(connections).toBeGreaterThan(1);
  });

  it('a redirect is never followed, and its target host is named', async () => {
    let asked = 0;
    const other = createServer((_request, response) => {
      asked += 1;
      response.end('{}');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const server = createServer((_request, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${port}/login` }).end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stderr } = await drain(url, {}, ['--patience', '1s']);
    server.close();
    other.close();
    expect(code).toBe(69);
    expect(asked).toBe(0);
    expect(stderr).toContain(`127.0.0.1:${port}`);
  });

  it('a 403 with an HTML body puts a firewall or proxy first', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(403, { 'content-type': 'text/html' }).end('<html>Blocked</html>');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { code, stderr } = await drain(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.close();
    expect(code).toBe(77);
    expect(stderr).toMatch(/1\) a firewall or proxy/);
  });

  it('400 is our bug: exit code 70, with what was asked', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(400).end('{"message":"no"}');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { code, stderr } = await drain(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.close();
    expect(code).toBe(70);
    expect(stderr).toContain('audit-logs?after=0&count=1000');
  });

  it.each(['beginning', '1', '2020-01-01T00:00:00Z'])(
    'a wrong address stays one at the next start and leaves nothing in the way of the right one (startAt %s)',
    async (startAt) => {
      await using simulator = await startSimulator({ events: 10, key });
      await using wrong = await startSimulator({ events: 10, key, faults: [{ kind: '404', share: 1 }] });
      const { file, state } = configure(wrong.url, { source: `startAt: "${startAt}"` });
      for (const _ of [1, 2]) expect(await startProgram(['once', '-c', file]).ended).toBe(78);
      const { file: right } = configure(simulator.url, { source: `startAt: "${startAt}"`, state });
      const program = startProgram(['once', '-c', right]);
      expect(await program.ended, program.stderr()).toBe(0);
      expect(program.stdout().split('\n')).toHaveLength(11);
    },
  );

  it.each(['beginning', 'now', '2020-01-01T00:00:00Z'])(
    'once gives up an unreachable source after its patience (startAt %s)',
    async (startAt) => {
      await using simulator = await startSimulator({ events: 10, key, faults: [{ kind: '503', share: 1 }] });
      const { file } = configure(simulator.url, { source: `startAt: "${startAt}"` });
      const program = startProgram(['once', '-c', file, '--patience', '1s']);
      expect(await program.ended, program.stderr()).toBe(69);
      expect(program.stderr()).toMatch(/gave up .* answered 503/);
    },
  );

  it('404 after a page was read is waited out', async () => {
    await using simulator = await startSimulator({ events: 10, key });
    const { file } = configure(simulator.url);
    expect(await startProgram(['once', '-c', file]).ended).toBe(0);
    simulator.setFaults([{ kind: '404', share: 1 }]);
    const again = startProgram(['once', '-c', file, '--patience', '1s']);
    expect(await again.ended, again.stderr()).toBe(69);
  });
});

describe('a refused key', () => {
  it('is read again from its file before it counts as refused: a rotation needs no restart and costs no poll', async () => {
    await using simulator = await startSimulator({ events: 10, rate: 20, key });
    const keyFile = join(directory, 'key');
    writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
    const { file } = configure(simulator.url, { apiKey: `apiKeyFile: "${keyFile}"` });
    const program = startProgram(['run', '-c', file]);
    await program.until((_, stdout) => stdout.split('\n').length > 20);
    writeFileSync(keyFile, 'SIEM-LOG-ONLY-rotated\n');
    simulator.setKey('SIEM-LOG-ONLY-rotated');
    const before = program.stdout().split('\n').length;
    await program.until((_, stdout) => stdout.split('\n').length > before + 20);
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
    expect(program.stderr()).not.toContain('refuse');
  });

  it('with onKeyRejected wait is waited out, and asked again at SIGHUP', async () => {
    await using simulator = await startSimulator({ events: 10, key, faults: [{ kind: '403', share: 1 }] });
    const { file } = configure(simulator.url, { source: 'onKeyRejected: wait' });
    const program = startProgram(['run', '-c', file]);
    await program.until((stderr) => stderr.includes('API key rejected'));
    expect(program.stdout()).toBe('');
    simulator.setFaults([]);
    const asked = simulator.requestCount;
    expect(asked).toBe(1);
    program.child.kill('SIGHUP');
    await program.until((_, stdout) => stdout.split('\n').length > 10);
    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
  });

  it('finishes what is in flight and checkpoints it before the daemon ends with 77', async () => {
    await using simulator = await startSimulator({ events: 3_000, countCap: 1_000, key });
    const { file, state } = configure(simulator.url);
    const program = startProgram(['run', '-c', file]);
    await program.until((_, stdout) => stdout.includes('\n'));
    simulator.setFaults([{ kind: '403', share: 1 }]);
    expect(await program.ended).toBe(77);
    const ids = program.stdout().split('\n').slice(0, -1).map(idOf);
    const checkpoint = readCheckpoint(state, 'console');
    expect(covers(checkpoint, BigInt(ids.at(-1) ?? 0))).toBe(true);
  });
});

describe('the reach of the key', () => {
  const broad = 'ADMIN-KEY';
  it('is warned about once when it can read more than the audit log, and records flow', async () => {
    await using simulator = await startSimulator({ events: 10, key: broad });
    const { code, stderr, console } = await drain(simulator.url, { apiKey: `apiKey: ${broad}` });
    expect(code).toBe(0);
    expect(console).toHaveLength(10);
    expect(stderr.split('\n').filter((line) => line.includes('can do more'))).toHaveLength(1);
    expect(stderr).toContain('SIEM-LOG-ONLY');
  });

  it('ends the program with 77 where it must be restricted', async () => {
    await using simulator = await startSimulator({ events: 10, key: broad });
    const { code, stderr, console } = await drain(simulator.url, {
      apiKey: `apiKey: ${broad}`,
      source: 'restrictedKey: require',
    });
    expect(code, stderr).toBe(77);
    expect(console).toEqual([]);
  });

  it.each(['warn', 'require'])('is asked again while the answer is unclear (restrictedKey: %s)', async (policy) => {
    let probes = 0;
    const server = createServer((request, response) => {
      if (request.url?.includes('/project')) response.writeHead(++probes < 3 ? 502 : 200).end('{}');
      else response.end(`{"after":1,"count":1,"events":[${request.url?.includes('after=0') ? eventText(1) : ''}]}`);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { file } = configure(url, { source: `restrictedKey: ${policy}` });
    const program = startProgram(['run', '-c', file]);
    if (policy === 'warn') {
      await program.until((stderr, stdout) => stderr.includes('restricted_key') && stdout !== '');
      program.child.kill('SIGTERM');
    }
    expect(await program.ended, program.stderr()).toBe(policy === 'warn' ? 0 : 77);
    server.close();
    expect(program.stdout()).toBe(policy === 'warn' ? `${eventText(1)}\n` : '');
    expect(probes).toBe(3);
  });

  it('is fine when another endpoint answers 403, and is not asked when off', async () => {
    await using simulator = await startSimulator({ events: 10, key });
    const { code, stderr } = await drain(simulator.url, { source: 'restrictedKey: require' });
    expect(code, stderr).toBe(0);
    expect(stderr).not.toContain('can do more');
    const probes = () => simulator.requests.filter(({ path }) => path.endsWith('/project')).length;
    expect(probes()).toBe(1);
    await drain(simulator.url, { source: 'restrictedKey: off' });
    expect(probes()).toBe(1);
  });
});

describe('the start', () => {
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
  const log = Array.from({ length: 600 }, (_, i) => eventText((i + 1) * 3, '{}', at(i)));
  const minuteOf = (texts: readonly string[]) => texts.map((text) => idOf(text) / 3 - 1);

  it.each([
    ['an id', '301', 100],
    ['an id that is missing', '302', 100],
    ['a time', `"${at(250)}"`, 250],
    ['a time between two events', '"2026-01-01T04:10:30Z"', 251],
    ['a time before all', '"2020-01-01"', 0],
  ])('%s begins with the first event there and brings every one after it', async (_, startAt, first) => {
    await using simulator = await startSimulator({ log, key });
    const { code, stderr, console } = await drain(simulator.url, { source: `startAt: ${startAt}` });
    expect(code, stderr).toBe(0);
    expect(minuteOf(console)).toEqual(Array.from({ length: 600 - Number(first) }, (_unused, i) => i + Number(first)));
  });

  it('is found by bisection, not by walking', async () => {
    await using simulator = await startSimulator({
      events: 1_000_000,
      key,
      requestsPerSecond: Number.POSITIVE_INFINITY,
    });
    const { file } = configure(simulator.url, { source: 'startAt: now' });
    const program = startProgram(['once', '-c', file]);
    expect(await program.ended, program.stderr()).toBe(0);
    expect(simulator.requestCount).toBeLessThan(90);
    expect(program.stdout().split('\n').length).toBeLessThan(2_000);
  });

  it('now means the time of the first start, though it was cut off', async () => {
    await using simulator = await startSimulator({ log, key, latencyMs: 100 });
    const { file, state } = configure(simulator.url, { source: 'startAt: now' });
    const first = startProgram(['run', '-c', file]);
    await eventually(() => existsSync(join(state, 'checkpoints', 'console.json')));
    first.child.kill('SIGKILL');
    await first.ended;
    expect(readCheckpoint(state, 'console').after).toBe('0');
    simulator.append([eventText(9_000, '{}', new Date(Date.now() + 1).toISOString())]);
    const second = startProgram(['once', '-c', file]);
    expect(await second.ended, second.stderr()).toBe(0);
    expect(second.stdout().split('\n').slice(0, -1).map(idOf)).toEqual([9_000]);
    expect(BigInt(readCheckpoint(state, 'console').after)).toBeGreaterThanOrEqual(1_800n);
  });

  it('does not matter where there is a checkpoint', async () => {
    await using simulator = await startSimulator({ log, key });
    const { file, state } = configure(simulator.url, { source: 'startAt: 1791' });
    expect(await startProgram(['once', '-c', file]).ended).toBe(0);
    const again = startProgram(['once', '-c', configure(simulator.url, { state }).file]);
    expect(await again.ended).toBe(0);
    expect(again.stdout()).toBe('');
  });
});

describe('a log that was rewritten', () => {
  const log = (name: string) => [1, 2, 3, 4].map((id) => eventText(id, `{"log":"${name}"}`));

  it('is an error whenever the program runs once the newest delivered event is another one, and not if only its text changed', async () => {
    let log_ = log('old');
    await using simulator = await startSimulator({
      log: { page: (after, count) => log_.filter((text) => BigInt(idOf(text)) > after).slice(0, count) },
      key,
    });
    const { file } = configure(simulator.url);
    expect(await startProgram(['once', '-c', file]).ended).toBe(0);
    log_ = log('renamed');
    const same = startProgram(['once', '-c', file]);
    await same.ended;
    expect(same.stderr()).not.toContain('pipeline.history_check');
    const restored = (id: number) => eventText(id).replace(/"action":"[^"]*"/, '"action":"other.done"');
    log_ = [1, 2, 3, 4, 5].map(restored);
    for (const delivered of [[5], [6]]) {
      const other = startProgram(['once', '-c', file]);
      expect(await other.ended, other.stderr()).toBe(0);
      expect(other.stderr()).toMatch(/"level":"error".*"event":"pipeline.history_check".*"id":"4"/);
      expect(other.stdout().split('\n').slice(0, -1).map(idOf)).toEqual(delivered);
      log_.push(restored(6));
    }
  });

  it('is warned of when the newest delivered event is gone while older ones are there', async () => {
    let log_ = log('old');
    await using simulator = await startSimulator({
      log: { page: (after, count) => log_.filter((text) => BigInt(idOf(text)) > after).slice(0, count) },
      key,
    });
    const { file } = configure(simulator.url);
    expect(await startProgram(['once', '-c', file]).ended).toBe(0);
    log_ = log_.slice(0, 2);
    const other = startProgram(['once', '-c', file]);
    expect(await other.ended).toBe(0);
    expect(other.stderr()).toMatch(/"level":"warn".*event 4.*is missing/);
    log_ = [];
    const empty = startProgram(['once', '-c', file]);
    await empty.ended;
    expect(empty.stderr()).not.toContain('is missing');
  });
});

describe('late events', () => {
  it('are delivered once each though they appear behind the cursor, over a restart and a SIGKILL too', async () => {
    await using simulator = await startSimulator({ events: 50, rate: 100, late: { share: 0.3, delayMs: 2_500 }, key });
    const out = join(directory, 'late.ndjson');
    const { file } = configure(simulator.url, { source: 'settle: 5s' });
    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
      const program = startProgram(['run', '-c', file], { stdoutFile: out });
      const before = program.stdout().split('\n').length;
      await eventually(() => program.stdout().split('\n').length >= before + 300);
      program.child.kill(signal);
      await program.ended;
    }
    const end = simulator.lastId();
    const last = startProgram(['run', '-c', file], { stdoutFile: out });
    await eventually(
      () =>
        !(BigInt(readCheckpoint(join(file, '..', `state-${/config-(\d+)/.exec(file)?.[1]}`), 'console').after) < end),
    );
    last.child.kill('SIGTERM');
    expect(await last.ended).toBe(0);
    const ids = last
      .stdout()
      .split('\n')
      .slice(0, -1)
      .map((line) => BigInt(idOf(line)));
    const expected = (simulator.generated?.page(0n, 100_000) ?? [])
      .map((text) => BigInt(idOf(text)))
      .filter((id) => id <= end);
    const came = new Set(ids);
    expect(expected.filter((id) => !came.has(id))).toEqual([]);
    // Some did come out of order, so there was something to see.
    expect(ids.some((id, i) => i > 0 && id < (ids[i - 1] ?? 0n))).toBe(true);
    expect(ids.length - came.size).toBeLessThanOrEqual(1_000);
  });
});

describe('the pace', () => {
  it('holds over every one-second window at the server, over all sinks', async () => {
    await using simulator = await startSimulator({
      events: 6_000,
      countCap: 100,
      key,
      requestsPerSecond: Number.POSITIVE_INFINITY,
    });
    const { code, stderr, console } = await drain(simulator.url, { source: 'pageSize: 100' });
    expect(code, stderr).toBe(0);
    expect(console).toHaveLength(6_000);
    const times = simulator.requests.map(({ atMs }) => atMs);
    expect(times.length).toBeGreaterThan(60);
    // A busy machine sees what was sent a second apart a little closer together.
    for (let i = 20; i < times.length; i++) expect((times[i] ?? 0) - (times[i - 20] ?? 0)).toBeGreaterThanOrEqual(900);
  });

  it('is one request a poll on a quiet tenant, whatever the number of sinks', async () => {
    await using simulator = await startSimulator({ events: 5, key });
    const sinks = ['{ name: console, type: stdout, filter: { include: [x] } }'];
    await using hec = await (await import('../support/hec-server.ts')).startHecServer();
    for (let i = 0; i < 8; i++)
      sinks.push(`{ name: s${i}, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }`);
    const { file } = configure(simulator.url, { sinks, source: 'settle: 1s, restrictedKey: off' });
    const program = startProgram(['run', '-c', file]);
    const quiet = async (polls: number) => {
      const from = simulator.requests.length;
      await eventually(() => !(simulator.requests.length < from + polls));
      return simulator.requests.slice(from, from + polls);
    };
    await hec.until(() => hec.count === 40);
    await quiet(12);
    const requests = await quiet(5);
    for (let i = 1; i < requests.length; i++)
      expect((requests[i]?.atMs ?? 0) - (requests[i - 1]?.atMs ?? 0)).toBeGreaterThan(500);
    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
  });
});
