import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Encoded } from '../../src/event/event.ts';
import { auditEvent } from '../../src/event/event.ts';
import { openStdout } from '../../src/sinks/stdout.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { covers, readCheckpoint } from '../support/program.ts';
import { scratch } from '../support/scratch.ts';

const place = scratch();
const never = new AbortController().signal;
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

const record = (id: number): Encoded => {
  const event = auditEvent({ id: BigInt(id), text: Buffer.from(`{"id":${id}}`), receivedAtMs: 0 });
  return { event, redacted: event, record: event.text };
};

describe('stdout', () => {
  it('accepts a batch when the stream has taken it, and stops for good when the reader closes the pipe', async () => {
    const written: string[] = [];
    let broken = false;
    const out = new Writable({
      write(chunk, _, done) {
        if (!broken) written.push(String(chunk));
        done(broken ? Object.assign(new Error('broken pipe'), { code: 'EPIPE' }) : null);
      },
    });
    await using sink = openStdout(out);
    expect(await sink.send({ records: [record(1), record(2)] }, never)).toEqual({ kind: 'accepted' });
    expect(written).toEqual(['{"id":1}\n{"id":2}\n']);
    broken = true;
    for (const _ of [1, 2])
      expect(await sink.send({ records: [record(3)] }, never)).toMatchObject({ kind: 'stop', permanent: true });
  });

  it('waits for what an earlier sink left in the stream, and leaves one listener', async () => {
    const taken: (() => void)[] = [];
    const written: string[] = [];
    const out = new Writable({
      write(chunk, _, done) {
        if (chunk.length > 0) written.push(String(chunk));
        taken.push(done);
      },
    });
    for (let turn = 0; turn < 5; turn++) {
      const kill = new AbortController();
      await using sink = openStdout(out);
      const sending = sink.send({ records: [record(1)] }, kill.signal);
      sending.catch(() => {});
      await new Promise(setImmediate);
      kill.abort(new Error('out of time'));
      await expect(sending).rejects.toThrow('out of time');
    }
    expect(out.listenerCount('error')).toBe(1);
    await using sink = openStdout(out);
    const sending = sink.send({ records: [record(1)] }, never);
    let isSent = false;
    void sending.then(() => {
      isSent = true;
    });
    while (!isSent) {
      taken.shift()?.();
      await new Promise(setImmediate);
    }
    expect(await sending).toEqual({ kind: 'accepted' });
    expect(written).toEqual(['{"id":1}\n', '{"id":1}\n']);
  });

  it('ends a torn last line of a file before it appends', async () => {
    const path = join(place.directory, 'torn.ndjson');
    writeFileSync(path, '{"id":1}\n{"id":2,"us');
    const fd = openSync(path, 'a');
    try {
      await using sink = openStdout(fd);
      expect(await sink.send({ records: [record(2)] }, never)).toEqual({ kind: 'accepted' });
      expect(await sink.send({ records: [record(3)] }, never)).toEqual({ kind: 'accepted' });
    } finally {
      closeSync(fd);
    }
    expect(readFileSync(path, 'utf8')).toBe('{"id":1}\n{"id":2,"us\n{"id":2}\n{"id":3}\n');
  });

  it('does not accept a batch of which a full disk took a part', async () => {
    const text = (id: number) =>
      `{"id":${id},"user":null,"action":"a.b","ip":"192.0.2.1","userAgent":"${'x'.repeat(200)}","createdAt":"2026-01-01T00:00:00.000Z"}`;
    const texts = Array.from({ length: 500 }, (_, index) => text(index + 1));
    await using simulator = await startSimulator({ log: texts, key: 'k' });
    const state = join(place.directory, 'state');
    const config = place.file(
      'c.yaml',
      `source: { url: "${simulator.url}", apiKey: k, pageSize: 100 }\nstate: { directory: "${state}" }\nsinks: [ { type: stdout } ]\n`,
    );
    const path = join(place.directory, 'out.ndjson');
    // A file may not grow beyond 64 KiB: the write that reaches the bound is cut short, as on a disk that fills up.
    const limited = `trap '' XFSZ; ulimit -f 64; exec "$@"`;
    const once = (prefix: readonly string[]) => {
      const out = openSync(path, 'a', 0o600);
      const [command = '', ...args] = [...prefix, process.execPath, main, 'once', '-c', config, '--patience', '1s'];
      const child = spawn(command, args, { stdio: ['ignore', out, 'ignore'], env: {} });
      closeSync(out);
      return new Promise((resolve) => child.on('close', resolve));
    };
    const records = () =>
      readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => texts.includes(line));

    expect(await once(['bash', '-c', limited, 'bash'])).toBe(69);
    const kept = new Set(records());
    const saved = readCheckpoint(state, 'stdout');
    const lost = texts.filter((line, index) => covers(saved, BigInt(index + 1)) && !kept.has(line));
    expect(lost).toEqual([]);
    expect(await once([])).toBe(0);
    expect(new Set(records())).toEqual(new Set(texts));
  });

  it.each(['once', 'replay'])('%s ends with 69 when the reader closes the pipe', async (command) => {
    await using simulator = await startSimulator({ events: 3000, key: 'k' });
    const state = join(place.directory, `state-${command}`);
    const config = place.file(
      `${command}.yaml`,
      `source: { url: "${simulator.url}", apiKey: k, pageSize: 10 }\nstate: { directory: "${state}" }\nsinks: [ { type: stdout } ]\n`,
    );
    const range = command === 'replay' ? ['--sink', 'stdout', '--after', '0', '--until', '3000'] : [];
    const child = spawn(process.execPath, [main, command, '-c', config, ...range], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {},
    });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    expect(await new Promise((resolve) => child.on('close', resolve)), log).toBe(69);
    expect(log).toContain('the reader of standard output is gone');
  });
});
