import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../../src/testing/simulator/server.ts';
import { type HecServer, startHecServer } from '../support/hec-server.ts';
import { covers, eventually, readCheckpoint, startProgram } from '../support/program.ts';
import { scratch } from '../support/scratch.ts';

const key = 'SIEM-LOG-ONLY-demo';
const place = scratch();
let runs = 0;

/** A configuration with stdout and HEC in a fresh state directory. */
function configure(url: string, hec?: HecServer, more = ''): { file: string; state: string } {
  const state = join(place.directory, `state-${++runs}`);
  const file = join(place.directory, `config-${runs}.yaml`);
  const splunk =
    hec === undefined ? '' : `\n  - { name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}" }`;
  writeFileSync(
    file,
    `source: { url: "${url}", apiKey: ${key}, requestsPerSecond: 20, schedule: "* * * * * *" ${more} }
state: { directory: "${state}" }
sinks:
  - { name: console, type: stdout }${splunk}
`,
  );
  chmodSync(file, 0o600);
  return { file, state };
}

/** What `once` brings to stdout and to HEC. */
async function drain(url: string, args: readonly string[] = []) {
  await using hec = await startHecServer();
  const { file, state } = configure(url, hec);
  const program = startProgram(['once', '-c', file, ...args]);
  const code = await program.ended;
  const lines = program.stdout().split('\n').slice(0, -1);
  return { code, lines, hec: hec.events.map(({ raw }) => String(raw)), stderr: program.stderr(), state };
}

const text = (id: number | bigint, meta = '{}') =>
  `{"id":${id},"user":null,"action":"user.login","ip":"192.0.2.1","userAgent":"x","createdAt":"2026-01-01T00:00:00.000Z","meta":${meta}}`;

/** A server of one's own: pages as they are given. */
async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const afterOf = (url: string | undefined) => BigInt(new URL(url ?? '', 'http://x').searchParams.get('after') ?? '0');

describe('through the whole program', () => {
  it('numbers, surrogates and separators come out exactly as they came in', async () => {
    const texts = [
      text(1, '{"a":1.0,"b":1e3,"c":-0,"d":123456789012345678901234567890,"e":0.1e-7}'),
      text(2, '{"s":"\\ud800 \\udfff \u2028 \u2029 \\u0000 \u00e9 \\u00e9 😀"}'),
      text(9007199254740993n, '{"z":1,"a":2,"__proto__":{"x":1},"constructor":[],"":null}'),
      text(9223372036854775807n),
    ];
    await using simulator = await startSimulator({ log: texts, key });
    const { code, lines, hec, state, stderr } = await drain(simulator.url);
    expect(code, stderr).toBe(0);
    expect(lines).toEqual(texts);
    expect(hec).toEqual(texts);
    expect(covers(readCheckpoint(state, 'console'), 9223372036854775807n)).toBe(true);
  });

  it('any JSON in meta comes out exactly as it came in', async () => {
    const metas = fc.sample(fc.tuple(fc.json({ maxDepth: 4 }), fc.string({ unit: 'binary' })), {
      numRuns: 300,
      seed: 7,
    });
    const texts = metas.map(([json, name], i) => text(i + 1, `{${JSON.stringify(name)}:${json}}`));
    await using simulator = await startSimulator({ log: texts, key });
    const { lines, hec, stderr } = await drain(simulator.url);
    expect(lines, stderr).toEqual(texts);
    expect(hec).toEqual(texts);
  });

  it('an event nested 100,000 levels deep costs no stack and goes where it can go', async () => {
    const deep = text(2, `${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    const texts = [text(1), deep, text(3)];
    await using simulator = await startSimulator({ log: texts, key });
    const { code, lines, stderr } = await drain(simulator.url);
    expect(code, stderr).toBe(0);
    expect(lines).toEqual(texts);
  });

  it('a page out of order or with doubled ids comes out in order, each id once', async () => {
    await using server = await serve((request, response) => {
      const events = afterOf(request.url) >= 4n ? [] : [text(3), text(1), text(4), text(1), text(2), text(4)];
      response.end(`{"after":99,"count":6,"events":[${events.join(',')}]}`);
    });
    const { code, lines, hec, stderr } = await drain(server.url);
    expect(code, stderr).toBe(0);
    expect(lines).toEqual([text(1), text(2), text(3), text(4)]);
    expect(hec).toEqual(lines);
  });

  it('a server that caps count at 100 is drained to its end', async () => {
    await using simulator = await startSimulator({ events: 1_234, countCap: 100, key });
    const { code, lines, stderr } = await drain(simulator.url);
    expect(code, stderr).toBe(0);
    expect(lines).toHaveLength(1_234);
  });

  it('an event of 20 MB goes through', async () => {
    const large = text(2, JSON.stringify({ blob: 'x'.repeat(20_000_000) }));
    await using simulator = await startSimulator({ log: [text(1), large, text(3)], key });
    const { file } = configure(simulator.url);
    const program = startProgram(['once', '-c', file]);
    expect(await program.ended, program.stderr()).toBe(0);
    expect(program.stdout()).toBe(`${text(1)}\n${large}\n${text(3)}\n`);
  });

  it('an empty page that says after 0 does not send the cursor back', async () => {
    let asked = 0;
    await using server = await serve((request, response) => {
      asked += 1;
      response.end(
        afterOf(request.url) >= 2n
          ? '{"after":0,"count":0,"events":[]}'
          : `{"after":2,"count":2,"events":[${text(1)},${text(2)}]}`,
      );
    });
    const { code, lines, state } = await drain(server.url);
    expect(code).toBe(0);
    expect(lines).toEqual([text(1), text(2)]);
    expect(covers(readCheckpoint(state, 'console'), 2n)).toBe(true);
    expect(asked).toBeLessThan(10);
  });

  it('an empty page whose events are null ends the log', async () => {
    await using server = await serve((request, response) => {
      const events = afterOf(request.url) >= 2n ? 'null' : `[${text(1)},${text(2)}]`;
      response.end(`{"after":2,"count":2,"events":${events}}`);
    });
    const { code, lines, hec, stderr } = await drain(server.url);
    expect(code, stderr).toBe(0);
    expect(lines).toEqual([text(1), text(2)]);
    expect(hec).toEqual(lines);
  });

  it.each([
    ['203', 203, `{"after":2,"count":1,"events":[${text(1)}]}`],
    ['206', 206, `{"after":2,"count":1,"events":[${text(1)}`],
    ['500 with a page', 500, `{"after":2,"count":1,"events":[${text(1)}]}`],
    ['200 with broken JSON', 200, `{"after":2,"count":1,"events":[${text(1)},{"id":3,,}]}`],
    ['200 with an event without id', 200, `{"after":2,"count":1,"events":[${text(1).replace('"id":1,', '')}]}`],
  ])('no audit data is logged of an answer %s', async (_, status, body) => {
    await using server = await serve((_request, response) => void response.writeHead(status).end(body));
    const { file } = configure(server.url);
    const args = ['once', '-c', file, '--patience', '1s'];
    const program = startProgram(args, { env: { LOG_LEVEL: 'debug' } });
    expect(await program.ended, program.stderr()).toBe(69);
    expect(program.stderr()).toContain('gave up');
    expect(program.stderr()).not.toMatch(/user\.login|192\.0\.2\.1|userAgent|createdAt/);
  });

  it.each([
    ['HTML instead of JSON', '<!doctype html><title>Sign in</title>', /HTML/],
    ['cut off JSON', `{"after":2,"count":2,"events":[${text(1)},{"id":2,"us`, /JSON/],
    ['an answer without events', '{"after":2,"count":2}', /events/],
    ['a page whose events are a word', '{"after":2,"count":2,"events":nul}', /JSON/],
    ['an element without an id', `{"after":2,"count":2,"events":[${text(1)},{"action":"x"}]}`, /integer id/],
  ])('%s is waited out with a clear line, and nothing is lost, skipped or hammered', async (_, body, line) => {
    let asked = 0;
    await using server = await serve((request, response) => {
      asked += 1;
      if (asked <= 2) response.end(body);
      else if (afterOf(request.url) >= 2n) response.end('{"after":2,"count":0,"events":[]}');
      else response.end(`{"after":2,"count":2,"events":[${text(1)},${text(2)}]}`);
    });
    const { code, lines, hec, stderr } = await drain(server.url);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(line);
    expect(lines).toEqual([text(1), text(2)]);
    expect(hec).toEqual(lines);
    expect(asked).toBeLessThan(10);
  });

  it('what never passes is given up by once after its patience, with exit code 69 and no checkpoint of what was never read', async () => {
    await using server = await serve((_request, response) => {
      response.end('{"nothing":1}');
    });
    const { code, lines, stderr, state } = await drain(server.url, ['--patience', '1s']);
    expect(code).toBe(69);
    expect(lines).toEqual([]);
    expect(stderr).toContain('gave up');
    expect(existsSync(join(state, 'checkpoints', 'console.json'))).toBe(false);
  });
});

describe('a refused key', () => {
  async function refused(simulator: Simulator) {
    const { file } = configure(simulator.url);
    const program = startProgram(['run', '-c', file]);
    const code = await program.ended;
    return { code, stderr: program.stderr(), asked: simulator.requestCount };
  }

  it.each([
    // A 401 is believed when a second request gets it too.
    ['401', 77, 2],
    ['402', 77, 1],
    ['403', 77, 1],
    ['404', 78, 1],
  ] as const)('%s ends the daemon with code %i after %i request(s), saying why', async (kind, expected, requests) => {
    await using simulator = await startSimulator({ events: 10, key, faults: [{ kind, share: 1 }] });
    const { code, stderr, asked } = await refused(simulator);
    expect(code, stderr).toBe(expected);
    expect(asked).toBe(requests);
    expect(stderr).toContain(kind);
    expect(stderr).not.toContain(key);
  });

  it('403 is one fatal line that lists every documented cause with its remedy', async () => {
    await using simulator = await startSimulator({ events: 10, key, faults: [{ kind: '403', share: 1 }] });
    const { stderr } = await refused(simulator);
    const fatal = stderr.split('\n').filter((line) => line.includes('"level":"fatal"'));
    expect(fatal).toHaveLength(1);
    for (const cause of ['suspended', 'allowlist', 'admin', 'SIEM-LOG-ONLY']) expect(fatal[0]).toContain(cause);
  });
});

describe('the daemon', () => {
  it('drains and checkpoints at SIGTERM and ends with 0', async () => {
    await using simulator = await startSimulator({ events: 3_000, rate: 200, key });
    await using hec = await startHecServer();
    const { file, state } = configure(simulator.url, hec);
    const program = startProgram(['run', '-c', file]);
    await hec.until(() => hec.count > 2_000);
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
    const last = BigInt(JSON.parse(String(hec.events.at(-1)?.raw)).id);
    expect(covers(readCheckpoint(state, 'splunk'), last)).toBe(true);
    expect(covers(readCheckpoint(state, 'splunk'), last + 1n)).toBe(false);
  });

  it('exits with 0, without an error of its own, when the reader of its records goes away', async () => {
    await using simulator = await startSimulator({ events: 3_000, rate: 200, key });
    const { file } = configure(simulator.url);
    const program = startProgram(['run', '-c', file]);
    program.child.stdout?.once('data', () => program.child.stdout?.destroy());
    expect(await program.ended, program.stderr()).toBe(0);
    expect(program.stderr()).not.toMatch(/EPIPE|Error|error/);
  });

  it('is alone in its state directory: a second one ends with 75 and names the first', async () => {
    await using simulator = await startSimulator({ events: 10, key });
    const { file } = configure(simulator.url);
    const first = startProgram(['run', '-c', file]);
    await first.until((_, stdout) => stdout.includes('\n'));
    const second = startProgram(['once', '-c', file]);
    expect(await second.ended).toBe(75);
    expect(second.stderr()).toContain(`process ${first.child.pid}`);
    first.child.kill('SIGKILL');
    await first.ended;
    const third = startProgram(['once', '-c', file]);
    expect(await third.ended, third.stderr()).toBe(0);
  });

  it('is quiet on a quiet day', async () => {
    await using simulator = await startSimulator({ events: 10, key });
    const { file } = configure(simulator.url);
    const program = startProgram(['run', '-c', file]);
    await program.until((_, stdout) => stdout.split('\n').length > 10);
    const lines = program.stderr().split('\n').length;
    const asked = simulator.requestCount;
    await eventually(() => simulator.requestCount >= asked + 4);
    expect(program.stderr().split('\n').length).toBe(lines);
    program.child.kill('SIGINT');
    expect(await program.ended).toBe(0);
  });

  it('tells six mistakes in one file in six lines with file, line and column, and ends with 78', async () => {
    const file = join(place.directory, 'six.yaml');
    writeFileSync(
      file,
      `source:
  url: http://acme.eu1.qasphere.com
  apiKey: x
  pagesize: 10
  settle: soon
sinks:
  - { type: splunk-hek, url: "http://127.0.0.1:1", token: t }
  - { name: "UPPER", type: stdout }
telemetry: { listen: nowhere }
`,
    );
    const program = startProgram(['run', '-c', file]);
    expect(await program.ended).toBe(78);
    const lines = program
      .stderr()
      .trim()
      .split('\n')
      .filter((line) => !line.includes('warning'));
    expect(lines).toHaveLength(6);
    for (const line of lines) expect(line).toMatch(/^\/.*six\.yaml:\d+:\d+: /);
  });
});
