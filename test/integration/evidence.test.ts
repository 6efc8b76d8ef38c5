import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { eventually, startProgram } from '../support/program.ts';
import { scratch } from '../support/scratch.ts';

const key = 'SIEM-LOG-ONLY-evidence';
const { directory, file } = scratch();
let workspaces = 0;

async function run(...args: string[]) {
  const program = startProgram(args);
  const code = await program.ended;
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

/** A configuration with two sinks that write files, a key, and the commands on them. */
async function workspace(url: string, { more = '', sinks = '' } = {}) {
  const home = join(directory, String(workspaces++));
  const path = (name: string) => join(home, name);
  file(`${home.split('/').at(-1)}/.keep`, '');
  const made = await run('evidence', 'init', '--key', path('seal.key'));
  expect(made.code, made.stderr).toBe(0);
  writeFileSync(path('seal.pub'), made.stdout);
  const configure = (evidence: string) =>
    writeFileSync(
      path('config.yaml'),
      `source: { url: "${url}", apiKey: ${key}, settle: 0s, restrictedKey: "off", schedule: "* * * * * *"${more} }
state: { directory: "${path('state')}" }
evidence: ${evidence}
sinks:
  - { name: lake, type: file, path: "${path('lake.ndjson')}" }
  - { name: audit, type: file, path: "${path('audit.ndjson')}", filter: { exclude: ["*login*", "test_case.*"] }, redact: ["user.email"] }
${sinks}`,
      { mode: 0o600 },
    );
  configure(`{ keyFile: "${path('seal.key')}", also: [lake] }`);
  const seals = path('state/evidence');
  const config = ['-c', path('config.yaml')];
  return {
    path,
    configure,
    config,
    seals,
    once: async () => {
      const ended = await run('once', ...config);
      expect(ended.code, ended.stderr).toBe(0);
    },
    verify: (sink: string, ...args: string[]) =>
      run(
        ...['evidence', 'verify', '--seals', seals, '--sink', sink, '--records', path(`${sink}.ndjson`)],
        ...['--public-key', path('seal.pub'), ...args],
      ),
    sealFile: (sink: string) => {
      const folder = join(seals, '127.0.0.1', sink);
      return join(folder, readdirSync(folder).find((name) => name.endsWith('.ndjson')) as string);
    },
  };
}

type Workspace = Awaited<ReturnType<typeof workspace>>;

const linesOf = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n');
const write = (path: string, lines: readonly string[]) =>
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
const isRecord = (line: string) => line.startsWith('{"id":');
const operationsIn = (path: string) =>
  linesOf(path).flatMap((line) => (JSON.parse(line) as { operations?: object[] }).operations ?? []);

const proved = { code: 0, stdout: expect.stringMatching(/integrity: proved\ncompleteness: proved\n$/) };

describe('seals', () => {
  it('prove every record of every sink, over restarts, filters, redaction, a replay and moved cursors', async () => {
    await using simulator = await startSimulator({ events: 300, key });
    const work = await workspace(simulator.url);
    await work.once();
    simulator.append(40);
    await work.once();
    for (const sink of ['lake', 'audit']) expect(await work.verify(sink)).toMatchObject(proved);

    const replayed = await run('replay', '--sink', 'audit', '--after', '10', '--until', '60', '--yes', ...work.config);
    expect(replayed.code, replayed.stderr).toBe(0);
    const moved = await run('cursor', 'set', 'lake', '200', '--yes', ...work.config);
    expect(moved.code, moved.stderr).toBe(0);
    simulator.append(5);
    await work.once();
    for (const sink of ['lake', 'audit']) expect(await work.verify(sink), sink).toMatchObject(proved);
    expect(operationsIn(work.sealFile('audit'))).toMatchObject([{ op: 'replay', ids: '11-60' }]);
    expect(operationsIn(work.sealFile('lake'))).toMatchObject([{ op: 'cursor-set', to: '200' }]);
    const skipped = await run('cursor', 'set', 'lake', '900', '--yes', ...work.config);
    expect(skipped.code, skipped.stderr).toBe(0);
    await work.once();
    expect(await work.verify('lake')).toMatchObject({
      code: 66,
      stdout: expect.stringContaining('no seal covers the ids'),
    });
  });

  it('lie in the sink itself and in another one, where they verify without our files', async () => {
    await using simulator = await startSimulator({ events: 60, key });
    const work = await workspace(simulator.url);
    await work.once();
    await work.once();
    const sealed = linesOf(work.path('lake.ndjson')).filter((line) => line.includes('forwarder.sealed'));
    const sinks = sealed.map((line) => (JSON.parse(line) as { forwarder: { sink: string } }).forwarder.sink);
    expect(sinks.filter((name) => name === 'audit').length).toBeGreaterThanOrEqual(3);
    rmSync(work.seals, { recursive: true });
    for (const sink of ['lake', 'audit']) {
      const args = ['--seals', work.path('lake.ndjson'), '--records', work.path(`${sink}.ndjson`), '--sink', sink];
      expect(await run('evidence', 'verify', ...args, '--public-key', work.path('seal.pub'))).toMatchObject({
        ...proved,
        code: 0,
      });
    }
  });
});

describe('a change that is made on purpose', () => {
  const read = (work: Workspace) => linesOf(work.path('lake.ndjson'));
  const records = (work: Workspace) => read(work).filter(isRecord);

  it('is found and named, whichever it is', { timeout: 120_000 }, async () => {
    await using simulator = await startSimulator({ events: 50, key });
    const work = await workspace(simulator.url);
    await work.once();
    simulator.append(10);
    await work.once();
    expect(await work.verify('lake')).toMatchObject(proved);
    const [whole, seals] = [read(work), linesOf(work.sealFile('lake'))];
    const third = records(work)[2] as string;
    const id = /\d+/.exec(third)?.[0];
    const stranger = await run('evidence', 'init', '--key', work.path('stranger.key'));
    writeFileSync(work.path('stranger.pub'), stranger.stdout);
    const put = (lines: readonly string[]) => write(work.path('lake.ndjson'), lines);
    const seal = (lines: readonly string[]) => write(work.sealFile('lake'), lines);
    const cases: [string, () => unknown, number, RegExp][] = [
      ['a record removed', () => put(whole.filter((line) => line !== third)), 65, new RegExp(`id ${id} is missing`)],
      [
        'a record altered',
        () => put(whole.map((line) => line.replace('"action":"', '"action":"x'))),
        65,
        /is changed; seal \d/,
      ],
      [
        'a record doubled',
        () => put([...whole, third]),
        65,
        new RegExp(`id ${id} is there 2 times, and no seal announces`),
      ],
      ['a record forged', () => put([...whole, third.replace(/\d+/, '31')]), 65, /id 31 is/],
      ['records in another order', () => put([...whole].reverse()), 0, /completeness: proved/],
      ['a seal removed', () => seal(seals.filter((_, index) => index !== 1)), 65, /seal 2 is missing/],
      ['a seal altered', () => seal(seals.map((line) => line.replace('"count":0', '"count":1'))), 65, /invalid/],
      ['a seal doubled', () => seal([...seals, seals.at(-1) as string]), 65, /doubled|twice/],
      ['seals swapped', () => seal([seals[1] as string, seals[0] as string, ...seals.slice(2)]), 65, /misplaced/],
      ['a seal cut off', () => seal([...seals.slice(0, -1), (seals.at(-1) as string).slice(0, 200)]), 65, /cut off/],
      ['the tail cut off', () => seal(seals.slice(0, 2)), 65, /newer seals were cut off/],
      [
        'a seal of another sink moved here',
        () => seal([...seals, linesOf(work.sealFile('audit'))[0] as string]),
        65,
        /moved/,
      ],
      ['blanks in a seal', () => seal(seals.map((line) => line.replace(',', ', '))), 65, /not canonical/],
    ];
    for (const [name, change, code, named] of cases) {
      put(whole);
      seal(seals);
      change();
      const verified = await work.verify('lake');
      expect(verified.code, `${name}: ${verified.stdout}${verified.stderr}`).toBe(code);
      expect(verified.stdout, name).toMatch(named);
    }
    put(whole.filter(isRecord).slice(0, 50));
    seal(seals.slice(0, 2));
    const cut = await work.verify('lake', '--to', new Date(Date.now() + 1000).toISOString());
    expect(cut, 'the tail cut off, with no record behind it').toMatchObject({
      code: 66,
      stdout: expect.stringContaining('nothing is sealed after'),
    });
    put(whole);
    seal(seals);
    expect(await work.verify('lake', '--public-key', work.path('stranger.pub'))).toMatchObject({
      code: 65,
      stdout: expect.stringMatching(/is signed with key [0-9a-f]{16}, not with/),
    });
  });
});

describe('a proof of one event', () => {
  it('needs no other record, and does not survive a change', async () => {
    await using simulator = await startSimulator({ events: 50, key });
    const work = await workspace(simulator.url);
    await work.once();
    const [record = ''] = linesOf(work.path('audit.ndjson')).filter(isRecord);
    const id = /\d+/.exec(record)?.[0] ?? '';
    const made = await run('evidence', 'prove', '--id', id, '--sink', 'audit', ...work.config);
    expect(made.code, made.stderr).toBe(0);
    const proof = JSON.parse(made.stdout) as { record: string; id: string };
    expect(proof).toMatchObject({ v: 1, id, record });
    const verify = (text: string) => {
      writeFileSync(work.path('proof.json'), text);
      return run('evidence', 'verify', '--proof', work.path('proof.json'), '--public-key', work.path('seal.pub'));
    };
    expect(await verify(made.stdout)).toMatchObject({ code: 0, stdout: expect.stringContaining('integrity: proved') });
    const forged = JSON.stringify({ ...proof, record: record.replace('"ip"', '"iq"') });
    expect(await verify(forged)).toMatchObject({ code: 65, stdout: expect.stringContaining('the record was changed') });
    expect(await verify('{"v":1}')).toMatchObject({ code: 78, stderr: expect.stringContaining('is no proof') });
    const never = await run('evidence', 'prove', '--id', '99999', '--sink', 'audit', ...work.config);
    expect(never).toMatchObject({ code: 66, stderr: expect.stringContaining('not sealed yet') });
  });
});

describe('a change of the key', () => {
  it('is refused at a start without the old one, and handed over by a seal with it', async () => {
    await using simulator = await startSimulator({ events: 30, key });
    const work = await workspace(simulator.url);
    await work.once();
    expect((await run('evidence', 'init', '--key', work.path('new.key'))).code).toBe(0);
    work.configure(`{ keyFile: "${work.path('new.key')}" }`);
    const refused = await run('once', ...work.config);
    expect(refused).toMatchObject({ code: 78, stderr: expect.stringContaining('evidence.previousKeyFile') });
    work.configure(`{ keyFile: "${work.path('new.key')}", previousKeyFile: "${work.path('seal.key')}" }`);
    await work.once();
    work.configure(`{ keyFile: "${work.path('new.key')}" }`);
    simulator.append(5);
    await work.once();
    expect(await work.verify('lake')).toMatchObject(proved);
    expect(linesOf(work.sealFile('lake')).filter((line) => line.includes('"nextKey"'))).toHaveLength(1);
  });

  it('is made at SIGHUP by the running key, in a daemon that also reports its seals', async () => {
    await using simulator = await startSimulator({ events: 30, rate: 20, key });
    const work = await workspace(simulator.url);
    expect((await run('evidence', 'init', '--key', work.path('new.key'))).code).toBe(0);
    const beat = (text: string) => text.replace('name: lake,', 'name: lake, heartbeat: 1s,');
    writeFileSync(work.path('config.yaml'), beat(readFileSync(work.path('config.yaml'), 'utf8')));
    const daemon = startProgram(['run', ...work.config]);
    await eventually(
      () =>
        existsSync(work.path('lake.ndjson')) && readFileSync(work.path('lake.ndjson'), 'utf8').includes('"seal_seq":'),
    );
    work.configure(`{ keyFile: "${work.path('new.key')}" }`);
    writeFileSync(work.path('config.yaml'), beat(readFileSync(work.path('config.yaml'), 'utf8')));
    daemon.child.kill('SIGHUP');
    await eventually(() =>
      ['lake', 'audit'].every((sink) => readFileSync(work.sealFile(sink), 'utf8').includes('"nextKey"')),
    );
    daemon.child.kill('SIGKILL');
    expect(await daemon.ended).toBe('SIGKILL');
    await work.once();
    for (const sink of ['lake', 'audit']) expect(await work.verify(sink), sink).toMatchObject(proved);
    expect(linesOf(work.sealFile('audit')).some((line) => line.includes('"nextKey"'))).toBe(true);
  });
});

describe('a lost state directory', () => {
  it('is rebuilt from a seal found in the SIEM: nothing is lost, and what comes twice is announced', async () => {
    await using simulator = await startSimulator({ events: 100, key });
    const work = await workspace(simulator.url);
    await work.once();
    const found = work.path('export.ndjson');
    write(found, linesOf(work.path('lake.ndjson')));
    simulator.append(30);
    await work.once();
    rmSync(work.path('state'), { recursive: true });
    const recover = (sink: string, ...more: string[]) =>
      run('evidence', 'recover', '--seals', found, '--sink', sink, '--yes', ...work.config, ...more);
    for (const sink of ['lake', 'audit']) expect(await recover(sink)).toMatchObject({ code: 0 });
    expect(await recover('lake')).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('has a checkpoint already'),
    });
    simulator.append(10);
    await work.once();
    for (const sink of ['lake', 'audit']) {
      const verified = await work.verify(sink);
      expect(verified.code, verified.stdout).toBe(0);
      expect(verified.stdout).toMatch(/[1-9]\d* duplicated \(\d+ announced\)/);
    }
    expect(readFileSync(work.sealFile('lake'), 'utf8')).toContain('"recovered":true');
  });

  it('is not rebuilt from a seal that was altered, nor while a daemon runs', async () => {
    await using simulator = await startSimulator({ events: 20, key });
    const work = await workspace(simulator.url);
    await work.once();
    const altered = work.path('altered.ndjson');
    write(
      altered,
      linesOf(work.sealFile('lake')).map((line) => line.replace('"epoch":0', '"epoch":1')),
    );
    rmSync(work.path('state/checkpoints'), { recursive: true });
    const recover = (seals: string) =>
      run('evidence', 'recover', '--seals', seals, '--sink', 'lake', '--yes', ...work.config);
    expect(await recover(altered)).toMatchObject({ code: 65, stderr: expect.stringContaining('signature is wrong') });
    const daemon = startProgram(['run', ...work.config]);
    await daemon.until((stderr) => stderr.includes('pipeline.start'));
    expect(await recover(work.sealFile('audit'))).toMatchObject({ code: 75 });
    daemon.child.kill('SIGTERM');
    expect(await daemon.ended).toBe(0);
  });
});

describe('bad input', () => {
  it('is a clear error with file and line, and never 0', { timeout: 60_000 }, async () => {
    await using simulator = await startSimulator({ events: 20, key });
    const work = await workspace(simulator.url);
    await work.once();
    const text = (name: string, content: string | Buffer) => {
      writeFileSync(work.path(name), content);
      return work.path(name);
    };
    const foreign = text('foreign.ndjson', '{"a":1}\n');
    const empty = text('empty.ndjson', '');
    const zipped = gzipSync(readFileSync(work.path('lake.ndjson')));
    const seals = ['--seals', work.seals, '--sink', 'lake'];
    const cases: [readonly string[], number, RegExp][] = [
      [['--seals', foreign], 78, /foreign\.ndjson line 1 is no seal/],
      [['--seals', work.path('none')], 78, /does not exist/],
      [['--seals', empty], 66, /no seals/],
      [['--seals', work.seals, '--sink', 'nowhere'], 66, /no seals of sink nowhere/],
      [[...seals, '--records', foreign], 78, /foreign\.ndjson line 1 is no record/],
      [[...seals, '--records', empty], 65, /is missing/],
      [[...seals, '--records', text('cut.gz', zipped.subarray(0, zipped.length - 20))], 78, /unexpected end of file/],
      [[...seals, '--public-key', foreign], 78, /is no public key/],
      [[...seals, '--public-key', work.path('seal.key')], 78, /is a private key/],
      [seals, 66, /no public key is given/],
      [['--seals', work.seals, '--records', work.path('lake.ndjson')], 64, /--sink NAME/],
      [[...seals, '--from', 'yesterday'], 64, /write a date/],
      [[], 64, /--seals/],
      [[...seals, '--key', 'x'], 64, /no flag --key/],
    ];
    for (const [args, code, message] of cases) {
      const ended = await run('evidence', 'verify', ...args);
      expect(ended.code, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`).toBe(code);
      expect(ended.stdout + ended.stderr).toMatch(message);
      expect(ended.stderr).not.toMatch(/^ +at /m);
    }
    const whole = text('lake.gz', zipped);
    expect(
      await run('evidence', 'verify', ...seals, '--records', whole, '--public-key', work.path('seal.pub')),
    ).toMatchObject(proved);
    appendFileSync(work.path('seal.key'), 'x');
    expect(await run('evidence', 'init', '--key', work.path('seal.key'))).toMatchObject({ code: 78 });
  });
});
