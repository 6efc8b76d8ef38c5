import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfigWithPlugins } from '../../../src/config/load.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { loadPlugin } from '../../../src/sinks/plugin/load.ts';
import { definitionOf } from '../../../src/sinks/registry.ts';
import type { Sink } from '../../../src/sinks/sink.ts';
import { startSimulator } from '../../../src/testing/simulator/server.ts';
import { sinkConformance } from '../../../src/testing/sink-conformance.ts';
import { startProgram } from '../../support/program.ts';
import { idOf, key, runs } from '../../support/runs.ts';
import { batchOf, sinkDeps, textOf } from '../../support/sink-parts.ts';

const { directory } = runs();
const alive = new AbortController().signal;
const secret = 'obviously-fake-secret-1';
let count = 0;

/** A new directory with these files. */
function place(files: Readonly<Record<string, string>>): string {
  const path = join(directory, `place-${++count}`);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}

/** A Standard Schema that takes any object, and reports `problem` at the path that the option `wrong` names. */
const schema = `{ '~standard': { version: 1, vendor: 'test', validate: (value) =>
  value.wrong === undefined ? { value } : { issues: [{ message: 'is wrong', path: [{ key: 'wrong' }] }] } } }`;

/** A plug-in that appends what it gets to the file \`arrived\` beside it; \`send\` may be replaced. */
const pluginText = (send = '') => `
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineSink } from 'qasphere-siem-forwarder/sink';
const at = (name) => join(import.meta.dirname, name);
const note = (record) => appendFileSync(at('arrived'), Buffer.concat([record, Buffer.from('\\n')]));
const mode = () => (existsSync(at('mode')) ? readFileSync(at('mode'), 'utf8') : '');
export default defineSink({
  meta: { name: 'test', version: '1.2.3' },
  options: ${schema},
  secrets: ['token'],
  confirmWithin: 300,
  open(options, deps) {
    if (options.throws) throw new Error('cannot open with ' + options.token);
    return {
      window: options.window ?? 1,
      limits: { maxEvents: 1000, maxBytes: 1048576 },
      async send(batch, signal) {
        ${send}
        const [name, argument] = mode().split(' ');
        if (name === 'stall') return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        if (name === 'retry' || name === 'stop') return { kind: name, reason: 'server', detail: 'because of ' + options.token };
        if (name === 'reject' && batch.records.some(({ id }) => id === argument)) return { kind: 'reject', reason: 'malformed', detail: 'no' };
        for (const { record } of batch.records) note(record);
        return { kind: 'accepted' };
      },
      async sendStatus({ record }) { note(record); return { kind: 'accepted' }; },
      async probe() { return mode() === 'stop' ? { kind: 'stop', reason: 'auth', detail: 'no' } : { kind: 'accepted' }; },
      async [Symbol.asyncDispose]() {},
    };
  },
});
`;

const configText = (sink: string, more = '') => `source:
  url: https://acme.eu1.qasphere.com
  apiKey: k
sinks:
  - type: plugin
    ${sink}
${more}`;

async function load(at: string, sink: string, more = '') {
  const file = join(at, 'config.yaml');
  writeFileSync(file, configText(sink, more), { mode: 0o600 });
  return loadConfigWithPlugins({ file, env: { SECRET: secret } });
}

async function problems(at: string, sink: string, more = ''): Promise<string[]> {
  const loaded = await load(at, sink, more);
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

async function open(at: string, sink = 'use: ./plugin.mjs', deps = sinkDeps()): Promise<Sink> {
  const loaded = await load(at, sink);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  const [entry] = loaded.config.sinks;
  if (entry === undefined) throw new Error('no sink');
  return definitionOf(entry).open(entry, deps);
}

async function verdictOf(sink: Sink, batch = batchOf(1)) {
  const answer = await sink.send(batch, alive);
  return answer.kind === 'sent' ? answer.confirmed : answer;
}

const arrived = (at: string) =>
  existsSync(join(at, 'arrived')) ? readFileSync(join(at, 'arrived'), 'utf8').split('\n').slice(0, -1) : [];
const setMode = (at: string, mode: string) => writeFileSync(join(at, 'mode'), mode);

sinkConformance(
  { describe, it },
  {
    name: 'plugin',
    async start() {
      const at = place({ 'plugin.mjs': pluginText() });
      return { at, [Symbol.asyncDispose]: async () => {} };
    },
    open: ({ at }, deps) =>
      open(at, `use: ./plugin.mjs\n    options: { token: "\${SECRET}" }`, { ...sinkDeps(), ...deps }),
    arrivals: ({ at }) => arrived(at).map((text) => ({ text, isStatus: text.startsWith('{"forwarder":') })),
    secrets: [secret],
    fail: ({ at }) => setMode(at, 'retry'),
    refuse: ({ at }) => setMode(at, 'stop'),
    reject: ({ at }, id) => setMode(at, `reject ${id}`),
    stall: ({ at }) => setMode(at, 'stall'),
    recover: ({ at }) => setMode(at, ''),
  },
);

describe('a plug-in that misbehaves', () => {
  it.each([
    [
      'throws',
      `throw new TypeError('with ' + options.token);`,
      /plug-in test 1\.2\.3: send threw: TypeError: with \[secret\]/,
    ],
    ['answers nonsense', `return { kind: 'fine' };`, /send answered fine, which is no verdict/],
    ['answers nothing', `return;`, /send answered undefined, which is no verdict/],
    ['answers an unknown reason', `return { kind: 'retry', reason: 'x', detail: 'd' };`, /unknown reason: x/],
    ['answers without a detail', `return { kind: 'stop', reason: 'auth' };`, /answered stop without a detail/],
    [
      'answers with an object that has no text',
      `return { kind: Object.create(null) };`,
      /send answered .*, which is no verdict/,
    ],
    [
      'answers with a getter that throws',
      `return { get kind() { throw new Error('in the getter'); } };`,
      /the answer of send threw: Error: in the getter/,
    ],
    ['throws what has no text', `throw Object.create(null);`, /send threw: /],
    [
      'names an event outside the batch',
      `return { kind: 'reject', reason: 'malformed', detail: 'd', failedIndex: 1 };`,
      /failedIndex outside the batch/,
    ],
    [
      'accepts more than the batch',
      `return { kind: 'retry', reason: 'server', detail: 'd', acceptedPrefix: 2 };`,
      /acceptedPrefix outside the batch/,
    ],
    ['never settles', `await new Promise(() => {});`, /send did not settle within 300 ms/],
    [
      'never confirms',
      `return { kind: 'sent', confirmed: new Promise(() => {}) };`,
      /the confirmation did not settle within 300 ms/,
    ],
    [
      'rejects its confirmation',
      `return { kind: 'sent', confirmed: Promise.reject(new Error('lost')) };`,
      /the confirmation threw: Error: lost/,
    ],
    ['sends without a confirmation', `return { kind: 'sent' };`, /sent without a promise/],
  ])('gets retry with a named error, then stop after ten in a row: %s', async (name, send, message) => {
    const at = place({ 'plugin.mjs': pluginText(send) });
    await using sink = await open(at, `use: ./plugin.mjs\n    options: { token: "\${SECRET}" }`);
    expect(await verdictOf(sink)).toMatchObject({ kind: 'retry', detail: expect.stringMatching(message) });
    if (name.startsWith('never')) return;
    for (let turn = 2; turn < 10; turn++) expect(await verdictOf(sink)).toMatchObject({ kind: 'retry' });
    expect(await verdictOf(sink)).toMatchObject({
      kind: 'stop',
      detail: expect.stringContaining('10 failures in a row'),
    });
  });

  it('can’t alter the records', async () => {
    const at = place({
      'plugin.mjs': pluginText('for (const one of batch.records) { one.record.fill(120); one.event.id = 7; }'),
    });
    await using sink = await open(at);
    const batch = batchOf(1);
    await verdictOf(sink, batch);
    expect(String(batch.records[0]?.record)).toBe(textOf(1));
  });

  it('is named in the log if it blocks the program', async () => {
    const at = place({ 'plugin.mjs': pluginText('const end = Date.now() + 1100; while (Date.now() < end);') });
    const deps = sinkDeps();
    await using sink = await open(at, 'use: ./plugin.mjs', deps);
    expect(await verdictOf(sink)).toEqual({ kind: 'accepted' });
    expect(deps.heard).toContainEqual(
      expect.objectContaining({
        event: 'sink.warning',
        detail: expect.stringMatching(/^send blocked the program for \d+ ms$/),
      }),
    );
  });

  it('that can’t open, or has impossible limits, gets retry too', async () => {
    const at = place({ 'plugin.mjs': pluginText() });
    await using failing = await open(at, `use: ./plugin.mjs\n    options: { throws: true, token: "\${SECRET}" }`);
    expect(await verdictOf(failing)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('open threw: Error: cannot open with [secret]'),
    });
    await using wide = await open(at, 'use: ./plugin.mjs\n    options: { window: 0 }');
    expect(await verdictOf(wide)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('its window is not from 1 to 1000'),
    });
  });

  it('is given no batch that is larger than it takes', async () => {
    const small = pluginText().replace('maxEvents: 1000', 'maxEvents: 2');
    await using sink = await open(place({ 'plugin.mjs': small }));
    expect(await verdictOf(sink, batchOf(1, 3))).toMatchObject({ kind: 'retry', narrow: true });
    expect(await verdictOf(sink, batchOf(1, 2))).toEqual({ kind: 'accepted' });
  });

  it('gets retry, then stop, if its limits throw', async () => {
    const throwing = pluginText().replace(
      'limits: { maxEvents: 1000, maxBytes: 1048576 }',
      `get limits() { throw new Error('no limits'); }`,
    );
    await using sink = await open(place({ 'plugin.mjs': throwing }));
    const detail = expect.stringContaining('window or limits threw: Error: no limits');
    for (let turn = 1; turn < 10; turn++) expect(await verdictOf(sink)).toMatchObject({ kind: 'retry', detail });
    expect(await verdictOf(sink)).toMatchObject({ kind: 'stop', detail });
  });

  it('that opens too late is closed, and opened again', async () => {
    const slow = pluginText()
      .replace(
        'open(options, deps) {',
        `async open(options, deps) {\n    if (mode() === 'slow') await new Promise((resolve) => setTimeout(resolve, 600));`,
      )
      .replace('async [Symbol.asyncDispose]() {}', `async [Symbol.asyncDispose]() { note(Buffer.from('closed')); }`);
    const at = place({ 'plugin.mjs': slow });
    setMode(at, 'slow');
    await using sink = await open(at);
    expect(await verdictOf(sink)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('open did not settle within 300 ms'),
    });
    await expect.poll(() => arrived(at)).toContain('closed');
    setMode(at, '');
    expect(await verdictOf(sink)).toEqual({ kind: 'accepted' });
  });

  it('is counted once if it fails when its time is over already', async () => {
    const send = `return new Promise((_, reject) => setTimeout(() => { note(Buffer.from('rejected')); reject(new Error('late')); }, 100));`;
    const at = place({ 'plugin.mjs': pluginText(send).replace('confirmWithin: 300', 'confirmWithin: 20') });
    await using sink = await open(at);
    for (let turn = 1; turn < 6; turn++) await verdictOf(sink);
    await expect.poll(() => arrived(at)).toHaveLength(5);
    for (let turn = 6; turn < 10; turn++) expect(await verdictOf(sink)).toMatchObject({ kind: 'retry' });
    expect(await verdictOf(sink)).toMatchObject({ kind: 'stop' });
  });

  it('hurts no other sink, and moves no checkpoint', async () => {
    const at = place({ 'plugin.mjs': pluginText(`throw new Error('always');`) });
    await using simulator = await startSimulator({ events: 50, key });
    const file = join(at, 'run.yaml');
    writeFileSync(
      file,
      `source: { url: "${simulator.url}", apiKey: ${key}, schedule: "* * * * * *" }\nstate: { directory: "${join(at, 'state')}" }\nsinks: [{ type: plugin, use: ./plugin.mjs }, { type: stdout }]\n`,
      { mode: 0o600 },
    );
    const program = startProgram(['run', '-c', file]);
    await program.until((stderr, stdout) => stdout.split('\n').length > 50 && stderr.includes('send threw'));
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
    expect(program.stdout().split('\n').slice(0, -1).map(idOf)).toHaveLength(50);
    writeFileSync(join(at, 'plugin.mjs'), pluginText());
    const once = startProgram(['once', '-c', file]);
    expect(await once.ended, once.stderr()).toBe(0);
    expect(arrived(at)).toHaveLength(50);
  });
});

describe('an error that a plug-in leaves unhandled', () => {
  it.each([
    ['a rejection', `Promise.reject(new Error('stray'));`, 'left an error unhandled: Error: stray'],
    [
      'a throw in a timer',
      `setTimeout(() => { throw new RangeError('late'); });`,
      'left an error unhandled: RangeError: late',
    ],
    ['a rejection without an Error', `Promise.reject('text');`, 'left an error unhandled: '],
  ])('is logged as its own and ends nothing: %s', async (_, send, message) => {
    const at = place({ 'plugin.mjs': pluginText(send) });
    await using simulator = await startSimulator({ events: 5, key });
    const file = join(at, 'run.yaml');
    const text = `source: { url: "${simulator.url}", apiKey: ${key}, schedule: "* * * * * *" }\nstate: { directory: "${join(at, 'state')}" }\nsinks: [{ type: plugin, use: ./plugin.mjs }]\n`;
    writeFileSync(file, text, { mode: 0o600 });
    const program = startProgram(['run', '-c', file]);
    await program.until((stderr) => stderr.includes(message));
    program.child.kill('SIGTERM');
    expect(await program.ended, program.stderr()).toBe(0);
    expect(arrived(at)).toHaveLength(5);
  });
});

describe('a plug-in is found', () => {
  const text = pluginText();

  it.each([
    ['beside the configuration', { 'plugin.mjs': text }, './plugin.mjs'],
    ['in TypeScript', { 'plugin.ts': text.replace('(options, deps)', '(options: any, deps: any)') }, './plugin.ts'],
    [
      'as a package',
      {
        'node_modules/@acme/lake/package.json': '{"type":"module","main":"index.js"}',
        'node_modules/@acme/lake/index.js': text,
      },
      '"@acme/lake"',
    ],
    [
      'as a package that can only be imported',
      {
        'node_modules/lake/package.json': '{"type":"module","exports":{"import":"./index.js"}}',
        'node_modules/lake/index.js': text,
      },
      'lake',
    ],
    ['with a top-level await', { 'plugin.mjs': `await Promise.resolve();\n${text}` }, './plugin.mjs'],
  ])('%s', async (_, files, use) => {
    await using sink = await open(place(files), `use: ${use}`);
    expect(await verdictOf(sink)).toEqual({ kind: 'accepted' });
  });

  it.each([
    ['NAME', { 'plugins/lake/package.json': '{"type":"module","main":"index.js"}', 'plugins/lake/index.js': text }],
    [
      'node_modules/NAME',
      {
        'plugins/node_modules/lake/package.json': '{"type":"module","exports":"./index.js"}',
        'plugins/node_modules/lake/index.js': text,
      },
    ],
  ])('in plugins.directory as %s', async (_, files) => {
    const at = place(files);
    expect(await problems(at, 'use: lake', `plugins: { directory: "${join(at, 'plugins')}" }`)).toEqual([]);
  });

  it.each([
    [
      'use: ./missing.mjs',
      /^.*config\.yaml:6:10: sinks\[0\]\.use: is found neither in .*: install it there, or correct the name$/,
    ],
    ['use: nowhere', /is found neither in/],
    ['use: ./syntax.mjs', /sinks\[0\]\.use: can't be loaded: /],
    ['use: ./nothing.mjs', /has no default export made by defineSink/],
    ['use: ./other.mjs', /has contract 2, this forwarder has contract 1/],
    ['use: ./half.mjs', /is no plug-in/],
    ['use: ./plugin.mjs\n    options: { a: 1, wrong: 2 }', /config\.yaml:7:29: sinks\[0\]\.options\.wrong: is wrong$/],
    [
      'use: ./plugin.mjs\n    options: { token: a, tokenFile: /x }',
      /sinks\[0\]\.options\.tokenFile: set token or tokenFile, not both$/,
    ],
    [
      'use: ./plugin.mjs\n    options: { tokenFile: /no/such/file }',
      /sinks\[0\]\.options\.tokenFile: the file does not exist$/,
    ],
    ['options: {}', /sinks\[0\]\.use: is missing/],
  ])('or its problem is named with its place: %s', async (sink, message) => {
    const at = place({
      'plugin.mjs': text,
      'syntax.mjs': 'export default {',
      'nothing.mjs': 'export const x = 1;',
      'other.mjs': 'export default { contract: 2 };',
      'half.mjs': 'export default { contract: 1 };',
    });
    expect((await problems(at, sink)).join('\n')).toMatch(message);
  });
});

describe('loading a plug-in', () => {
  const context = (directory: string) => ({ directory, pluginDirectories: [], timeoutMs: 200 });
  const options = { use: './plugin.mjs', options: new Secret('{}') } as Parameters<typeof loadPlugin>[0];

  it.each([
    ['its module', `await new Promise(() => {});\n${pluginText()}`, ['use'], /can't be loaded: not done within 200 ms/],
    [
      'its schema',
      pluginText().replace(
        'value.wrong === undefined ? { value }',
        'value.wrong === undefined ? new Promise(() => {})',
      ),
      ['options'],
      /schema fails: not done within 200 ms/,
    ],
  ])('ends with a problem if %s never settles', async (_, text, path, message) => {
    const problems = await loadPlugin(options, context(place({ 'plugin.mjs': text })));
    expect(problems).toEqual([{ path, message: expect.stringMatching(message) }]);
  });

  it.each(['', '{', 'null', '{"exports":{"./x":"./x.js"}}'])(
    'of a package whose package.json is “%s” is a problem',
    async (text) => {
      const at = place({ 'node_modules/broken/package.json': text });
      expect((await problems(at, 'use: broken')).join()).toMatch(/sinks\[0\]\.use: /);
    },
  );

  it('finds a package that can only be imported in a folder above', async () => {
    const at = place({
      'node_modules/lake/package.json': '{"type":"module","exports":{"import":"./index.js"}}',
      'node_modules/lake/index.js': pluginText(),
      'below/keep': '',
    });
    expect(await problems(join(at, 'below'), 'use: lake')).toEqual([]);
  });
});

describe('secrets of a plug-in', () => {
  it('come from files, and are masked with all its options wherever the configuration is printed', async () => {
    const at = place({
      'plugin.mjs': pluginText(`return { kind: 'stop', reason: 'auth', detail: 'token ' + options.token };`),
      token: `${secret}\n`,
    });
    const loaded = await load(
      at,
      `use: ./plugin.mjs\n    options: { tokenFile: "${join(at, 'token')}", other: visible }`,
    );
    if (!loaded.ok) throw new Error('invalid');
    expect(
      JSON.stringify(loaded.config, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
    ).not.toMatch(/obviously-fake|visible/);
    const [entry] = loaded.config.sinks;
    if (entry === undefined) throw new Error('no sink');
    await using sink = definitionOf(entry).open(entry, sinkDeps());
    expect(await verdictOf(sink)).toMatchObject({ kind: 'stop', detail: 'token [secret]' });
  });
});

describe('`schema --config`', () => {
  const schemaOf = async (at: string, sink: string) => {
    writeFileSync(join(at, 'config.yaml'), configText(sink), { mode: 0o600 });
    const program = startProgram(['schema', '-c', join(at, 'config.yaml')]);
    return { code: await program.ended, text: program.stdout(), stderr: program.stderr() };
  };

  it('includes the options of the plug-ins that the file names', async () => {
    const withSchema = pluginText().replace(
      "vendor: 'test',",
      "vendor: 'test', jsonSchema: { input: ({ target }) => ({ type: 'object', properties: { path: { type: 'string', title: target } } }) },",
    );
    const at = place({ 'plugin.mjs': withSchema });
    const { code, text } = await schemaOf(at, 'use: ./plugin.mjs');
    expect(code).toBe(0);
    const entries = JSON.parse(text).properties.sinks.items.oneOf.filter(
      ({ properties }: { properties: { use?: unknown } }) => properties.use !== undefined,
    );
    expect(
      entries.map(({ properties }: { properties: { options: unknown; use: unknown } }) => [
        properties.use,
        properties.options,
      ]),
    ).toEqual([
      [{ const: './plugin.mjs' }, { type: 'object', properties: { path: { type: 'string', title: 'draft-2020-12' } } }],
      [expect.objectContaining({ not: { enum: ['./plugin.mjs'] } }), expect.anything()],
    ]);
  });

  it('takes any object where the plug-in’s library can’t make a JSON Schema', async () => {
    const throwing = pluginText().replace(
      "vendor: 'test',",
      "vendor: 'test', jsonSchema: { input() { throw new Error('not expressible'); } },",
    );
    const { code, text } = await schemaOf(place({ 'plugin.mjs': throwing }), 'use: ./plugin.mjs');
    expect([code, text.includes('not expressible')]).toEqual([0, false]);
  });

  it('takes any object where the plug-in has no JSON Schema, and reports an invalid file with 78', async () => {
    const at = place({ 'plugin.mjs': pluginText() });
    expect((await schemaOf(at, 'use: ./plugin.mjs')).text).toContain('"options": {\n');
    expect(await schemaOf(at, 'use: ./missing.mjs')).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('is found neither in'),
    });
  });
});
