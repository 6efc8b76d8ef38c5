/**
 * npm run bench: what the built program costs beside a floor, a minimal script that moves the same pages with the same
 * checks in the same run. BENCH_EVENTS (200,000) events a run, BENCH_ROUNDS (3) runs of each kind, taken in turns; the
 * best counts. Absolute figures hold for one machine, the ratios carry over.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Figures, figuresOf, machine, type Row, ratiosOf, share, table } from './figures.ts';
import { type Run, runFloor, runProgram, type Served, serve } from './processes.ts';
import { telemetryCost } from './telemetry-cost.ts';

const events = Number(process.env['BENCH_EVENTS'] ?? 200_000);
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
const pageSize = 1000;
/** Requests a second that the API grants. */
const apiLimit = 20;
/** Pages of the run at that limit, at most. */
const limitPages = 100;

const directory = mkdtempSync(join(tmpdir(), 'bench-'));
let runs = 0;

/** A configuration with a state directory of its own. */
function configure(source: Served, sink: string): string {
  const place = join(directory, `run-${++runs}`);
  mkdirSync(place);
  const file = join(place, 'config.yaml');
  const text = `source: { url: "${source.url}", apiKey: ${source.token}, requestsPerSecond: ${apiLimit} }
state: { directory: "${place}/state" }
sinks:
  - ${sink}
log: { level: warn }
`;
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

const hecSink = (hec: Served) =>
  `{ name: splunk, type: splunk-hec, url: "${hec.url}", token: "${hec.token}", compression: gzip }`;
const stdoutSink = '{ name: console, type: stdout }';

/** Runs and sees that each event arrived once. */
async function counted(run: () => Promise<Run>, hec?: Served, expected = events): Promise<Run> {
  const before = (await hec?.count()) ?? 0;
  const done = await run();
  const came = hec === undefined ? done.lines : (await hec.count()) - before;
  if (came !== expected) throw new Error(`${came} of ${expected} events arrived`);
  return done;
}

async function besideFloor(what: string, source: Served, sink: string, hec?: Served): Promise<Row> {
  const [program, floor]: [Run[], Run[]] = [[], []];
  const to = hec === undefined ? [] : [hec.url, hec.token];
  for (let round = 0; round < rounds; round++) {
    const cursor = join(directory, `floor-${++runs}`);
    floor.push(await counted(() => runFloor([source.url, source.token, cursor, ...to]), hec));
    program.push(await counted(() => runProgram(['once', '-c', configure(source, sink)], true), hec));
  }
  return { what, program: figuresOf(program, events), floor: figuresOf(floor, events) };
}

/** The import that the API's limit allows: as many requests as there are pages, and one that finds nothing new. */
async function atTheLimit(hec: Served) {
  const pages = Math.min(limitPages, Math.ceil(events / pageSize));
  using source = await serve('source', pages * pageSize, apiLimit);
  const config = configure(source, hecSink(hec));
  const run = await counted(() => runProgram(['once', '-c', config], false), hec, pages * pageSize);
  const requests = await source.count();
  const idealMs = Math.floor((requests - 1) / apiLimit) * 1000;
  return {
    events: pages * pageSize,
    requests,
    idealMs,
    movingMs: Math.round(run.movingMs),
    timesIdeal: share(run.movingMs, idealMs),
    shareOfOneCore: share(run.movingCpuMs, run.movingMs),
  };
}

/** From the spawn to the first record on standard output. */
async function toTheFirstRecord(): Promise<number> {
  using source = await serve('source', 1, apiLimit);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const config = configure(source, stdoutSink);
    const { firstByteMs } = await counted(() => runProgram(['once', '-c', config], false), undefined, 1);
    times.push(firstByteMs ?? Number.POSITIVE_INFINITY);
  }
  return Math.round(Math.min(...times));
}

const columns: readonly (readonly [keyof Figures, string])[] = [
  ['eventsPerSecond', 'events/s'],
  ['eventsPerCpuSecond', 'events/CPU s'],
  ['eventsPerMovingCpuSecond', '… without start'],
  ['peakMiB', 'peak MiB'],
];

function print(rows: readonly Row[]): string {
  const cells = (figures: Readonly<Record<keyof Figures, number>>) =>
    columns.map(([key]) => figures[key].toLocaleString('en'));
  return table([
    ['', ...columns.map(([, title]) => title)],
    ...rows.flatMap((row) => [
      [row.what, ...cells(row.program)],
      ['  its floor', ...cells(row.floor)],
      ['  ratio', ...cells(ratiosOf(row))],
    ]),
  ]);
}

try {
  using source = await serve('source', events, Number.POSITIVE_INFINITY);
  using hec = await serve('hec');
  const rows = [
    await besideFloor('HEC, gzip', source, hecSink(hec), hec),
    await besideFloor('stdout', source, stdoutSink),
  ];
  const limit = await atTheLimit(hec);
  const firstRecordMs = await toTheFirstRecord();
  const telemetryMicroseconds = await telemetryCost();
  const result = {
    at: new Date().toISOString(),
    machine: machine(),
    events,
    rounds,
    rows: rows.map((row) => ({ ...row, ratios: ratiosOf(row) })),
    limit,
    firstRecordMs,
    telemetryMicroseconds,
  };
  const results = fileURLToPath(new URL('results/', import.meta.url));
  mkdirSync(results, { recursive: true });
  const file = join(results, `${result.at.replaceAll(':', '-')}.json`);
  writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`);
  const { cpu, cores, node } = result.machine;
  console.log(`${events.toLocaleString('en')} events, best of ${rounds}; ${cores} × ${cpu}, Node ${node}\n`);
  console.log(print(rows));
  console.log(
    `\nat ${apiLimit} requests a second: ${limit.events.toLocaleString('en')} events in ${limit.movingMs} ms, ${limit.timesIdeal} times the ideal, with ${Math.round(limit.shareOfOneCore * 100)} % of a core`,
  );
  console.log(`from start to the first record: ${firstRecordMs} ms`);
  console.log(
    `metrics and traces without an SDK: ${telemetryMicroseconds.toFixed(1)} µs of CPU a page of 1,000 events`,
  );
  console.log(`as JSON: ${file}`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
