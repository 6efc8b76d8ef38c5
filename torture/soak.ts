/**
 * npm run soak: the daemon under faults for SOAK_MINUTES (30), 500 events a second to HEC, HEC with acknowledgement and
 * RELP. Nothing may be lost, and neither memory nor open files may grow. Linux only: both are read from /proc.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { startSimulator } from '../src/testing/simulator/server.ts';
import { startHecServer } from '../test/support/hec-server.ts';
import { relpServer } from '../test/support/relp-server.ts';
import { idOf } from './engine/checker.ts';
import { key, Workspace } from './engine/workspace.ts';
import { hecToken } from './fixtures/collectors.ts';

const minutes = Number(process.env['SOAK_MINUTES'] ?? 30);
const rate = Number(process.env['SOAK_RATE'] ?? 500);
if (process.platform !== 'linux') {
  console.log('skipped: memory and handles are read from /proc, which only Linux has');
  process.exit(0);
}

await using simulator = await startSimulator({
  events: 0,
  rate,
  key,
  faults: (['429', '500', 'reset', 'reset-body', 'truncated'] as const).map((kind) => ({ kind, share: 0.01 })),
});
let asked = 0;
const fault = () => (++asked % 50 === 0 ? 'busy' : asked % 73 === 0 ? 'reset-after' : undefined);
await using plain = await startHecServer({ token: hecToken, fault });
await using ack = await startHecServer({ token: hecToken, tokenState: 'ack', ackAfter: 1, fault });
let frames = 0;
await using relp = await relpServer((_, { answer, socket }) => {
  if (++frames % 20_011 === 0) socket.destroy();
  else answer();
});
using workspace = new Workspace();
const entry = (url: string, acknowledgement: boolean) =>
  `type: splunk-hec, url: "${url}", token: "${hecToken}", acknowledgement: ${acknowledgement}, ackTimeout: 10s`;
const sinks = {
  plain: entry(plain.url, false),
  ack: entry(ack.url, true),
  relp: `type: syslog, address: "relp://127.0.0.1:${relp.port}"`,
};
workspace.configure({
  url: simulator.url,
  pageSize: 1000,
  sinks,
  more: ', schedule: "* * * * * *", settle: 5s',
  level: 'info',
});

/** Ids that arrived, and the number of duplicates; the records themselves are dropped. */
const came = Object.fromEntries(Object.keys(sinks).map((name) => [name, { ids: new Set<bigint>(), doubled: 0 }]));
function gather(name: string, texts: readonly string[]): void {
  const of = came[name];
  if (of === undefined) return;
  for (const text of texts) {
    const id = idOf(text);
    if (of.ids.has(id)) of.doubled++;
    of.ids.add(id);
  }
}
function gatherAll(): void {
  for (const [name, hec] of [['plain', plain], ['ack', ack]] as const) {
    gather(name, (hec.events as unknown[]).splice(0).map((event) => String((event as { raw: Buffer }).raw)));
    (hec.requests as unknown[]).splice(0, Math.max(0, hec.requests.length - 1000));
  }
  const messages = (relp.frames as unknown[]).splice(0) as { command: string; data: string }[];
  const syslog = messages.filter(({ command }) => command === 'syslog');
  gather('relp', syslog.map(({ data }) => data.slice(data.indexOf(' {"id":') + 1)));
  for (const pieces of relp.tcp.received as unknown as unknown[][]) pieces.splice(0);
} // biome-ignore format: short

interface Sample {
  readonly atMs: number;
  readonly rssMiB: number;
  readonly handles: number;
}
const samples: Sample[] = [];
const running = workspace.start(['run'], {}, []);
const endMs = performance.now() + minutes * 60_000;
while (performance.now() < endMs && running.child.exitCode === null) {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  gatherAll();
  const { pid } = running.child;
  const rssKiB = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  samples.push({
    atMs: performance.now(),
    rssMiB: Number(rssKiB) / 1024,
    handles: readdirSync(`/proc/${pid}/fd`).length,
  });
}
running.child.kill('SIGTERM');
const { code, stderr } = await running.ended;
gatherAll();

const problems: string[] = [];
if (code !== 0) problems.push(`ends with ${code}: ${stderr.slice(-300)}`);
for (const name of Object.keys(sinks)) {
  const covers = workspace.covers(name);
  const of = came[name] ?? { ids: new Set<bigint>(), doubled: 0 };
  const done = (simulator.generated?.page(0n, 1e7) ?? []).map(idOf).filter(covers);
  const lost = done.filter((id) => !of.ids.has(id));
  console.log(`${name}: ${done.length} done, ${lost.length} lost, ${of.doubled} doubled`);
  if (lost.length > 0) problems.push(`${name}: lost ${lost.slice(0, 3).join(', ')}…`);
  if (done.length < rate * minutes * 60 * 0.5) problems.push(`${name}: only ${done.length} were delivered`);
}
const every = Math.max(1, Math.floor(samples.length / 12));
const course = samples.filter((_, index) => index % every === 0).map(({ rssMiB }) => Math.round(rssMiB));
console.log(`memory over time, MiB: ${course.join(' ')}`);
/** The start, with its code not yet compiled and its heap not yet grown, says nothing of growth. */
const warmMs = Math.max(minutes * 20_000, 120_000);
const firstMs = samples[0]?.atMs ?? 0;
const settled = samples.filter(({ atMs }) => atMs - firstMs > warmMs);
if (settled.length < 120) console.log('too short to measure growth: run it for at least 5 minutes');
const { slope, error } = slopeOf(settled.map(({ atMs, rssMiB }) => [atMs / 3_600_000, rssMiB]));
const handles = settled.map(({ handles }) => handles);
const mean = settled.reduce((sum, { rssMiB }) => sum + rssMiB, 0) / settled.length;
const hours = minutes / 60;
console.log(
  `memory: mean ${mean.toFixed(1)} MiB, at most ${Math.max(...samples.map(({ rssMiB }) => rssMiB)).toFixed(1)}, slope ${slope.toFixed(1)} ± ${error.toFixed(1)} MiB an hour; handles: ${Math.min(...handles)} to ${Math.max(...handles)}`,
);
if (settled.length >= 120 && slope - 2 * error > 0 && slope * hours > mean * 0.1) problems.push('memory grows');
const half = handles.length >> 1;
if (settled.length >= 120 && Math.min(...handles.slice(half)) > Math.max(...handles.slice(0, half)))
  problems.push('open files grow');
for (const problem of problems) console.log(`VIOLATED ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;

/** Least squares, with the standard error of the slope. */
function slopeOf(points: readonly (readonly [number, number])[]): { slope: number; error: number } {
  const n = points.length;
  const [x, y] = [0, 1].map((index) => points.reduce((sum, point) => sum + (point[index] ?? 0), 0) / n) as [
    number,
    number,
  ];
  const sxx = points.reduce((sum, [px]) => sum + (px - x) ** 2, 0);
  const slope = points.reduce((sum, [px, py]) => sum + (px - x) * (py - y), 0) / sxx;
  const rest = points.reduce((sum, [px, py]) => sum + (py - y - slope * (px - x)) ** 2, 0);
  return { slope, error: Math.sqrt(rest / Math.max(1, n - 2) / sxx) };
}
