import { startSimulator } from '../../src/testing/simulator/server.ts';
import type { Fault } from '../../test/support/hec-server.ts';
import { type Collector, isPoison, kinds } from '../fixtures/collectors.ts';
import { type NetProxy, portIn, redirected, startProxy } from '../fixtures/proxy.ts';
import { type Account, Checker } from './checker.ts';
import { falseCheckpointText, inFlight } from './in-flight.ts';
import type { Plan, SinkPlan, SourcePlan } from './plan.ts';
import { sealFaults } from './seals.ts';
import { key, Workspace } from './workspace.ts';

/** The result of a history. */
export interface Outcome {
  /** One entry per sink, with the number of duplicates allowed there. */
  readonly accounts: readonly { readonly sink: string; readonly account: Account; readonly allowed: number }[];
  readonly violations: readonly string[];
  /** Connections that the network cut or swallowed. */
  readonly cuts: number;
  /** The most bytes sent in each direction through the first connection of any proxy. */
  readonly bytes: { readonly up: number; readonly down: number };
}

/** Runs `once` in a workspace, up to the kill point if one is given. */
export type Runner = (workspace: Workspace, killAt?: string) => Promise<{ code: number | string; stderr: string }>;

/** HEC faults that store nothing; the forwarder can't know that. */
const unsure: ReadonlySet<unknown> = new Set(['error', 'reset-before', 'hang-before']);
/** Faults after which stored events may be sent again. */
const doubling: ReadonlySet<Fault> = new Set<Fault>(['reset-after', 'swallow-ack', 'late-ack', 'lose-ack']);

export interface Stage {
  /** Prepares a new workspace for the runner. */
  readonly prepare?: (workspace: Workspace) => void;
  /** Log level. Default: trace. */
  readonly level?: string;
}

/** Executes a plan. */
export async function play(plan: Plan, run: Runner, { prepare, level }: Stage = {}): Promise<Outcome> {
  const { events, pageSize, seed } = plan;
  const violations: string[] = [];
  const simulator = await startSimulator({
    events,
    seed,
    key,
    requestsPerSecond: 1_000,
    ...simulatorFaults(plan.source),
  });
  await using opened = new AsyncDisposableStack();
  opened.use(simulator);
  using workspace = new Workspace();
  prepare?.(workspace);
  const proxies: NetProxy[] = [];
  const through = async (entry: string, { net }: SinkPlan | SourcePlan) => {
    if (net === undefined) return { entry, doubtful: () => 0 };
    const proxy = opened.use(await startProxy(portIn(entry), net));
    proxies.push(proxy);
    return { entry: redirected(entry, () => proxy.port), doubtful: proxy.doubtful };
  };
  const sinks: { name: string; collector: Collector; entry: string; allowed: number; doubtful: () => number }[] = [];
  for (const [name, one] of Object.entries(plan.sinks)) {
    const faults = new Map(one.faults);
    let asked = 0;
    const fault = (about?: { readonly kind: string }) => {
      const hit = faults.get(asked++);
      // A failed acknowledgement poll delays the answer, possibly beyond its timeout.
      if (collector.isExact === true) return hit;
      if (hit !== undefined && (doubling.has(hit) || about?.kind === 'ack'))
        sink.allowed += Math.min(events, collector.inFlight(pageSize));
      // It is unknown whether such a batch got an ackId, so the first one on its channel is not trusted either.
      else if (hit !== undefined && unsure.has(hit) && collector.confirmed !== undefined) sink.allowed += pageSize;
      return hit;
    };
    const kind = kinds[one.kind];
    if (kind === undefined) throw new Error(`no collector is called ${one.kind}`);
    const collector = opened.use(await kind.open({ directory: workspace.directory, fault }));
    const { entry, doubtful } = await through(collector.entry, one);
    const sink = { name, collector, entry: `${entry}${one.more ?? ''}`, allowed: 0, doubtful };
    sinks.push(sink);
  }
  const source = await through(simulator.url, plan.source);
  workspace.configure({
    url: source.entry,
    pageSize,
    sinks: Object.fromEntries(sinks.map(({ name, entry }) => [name, entry])),
    ...(level !== undefined && { level }),
    more: plan.source.net === undefined ? '' : ', timeout: 5s',
  });
  const checker = new Checker(simulator.generated?.page(0n, events) ?? []);
  for (const killAt of plan.kills) {
    const { code, stderr } = await run(workspace, killAt);
    if (code !== 'SIGKILL' && code !== 0) violations.push(`ends with ${code}: ${stderr.slice(-200)}`);
    // If it ended before the kill point, nothing was in flight.
    if (code !== 'SIGKILL') continue;
    await Promise.all(
      sinks.map(async (sink) => {
        const { open, falseCheckpoints } = await inFlight(workspace, sink.name, sink.collector, checker);
        if (falseCheckpoints > 0) violations.push(`${sink.name}: ${falseCheckpointText(falseCheckpoints)}`);
        // Data still in a slow network arrives later and counts too.
        const isSlow = plan.sinks[sink.name]?.net !== undefined;
        if (sink.collector.isExact !== true)
          sink.allowed += Math.min(isSlow ? events : open, sink.collector.inFlight(pageSize));
      }),
    );
  }
  const { code, stderr } = await run(workspace);
  if (code !== 0) violations.push(`ends with ${code}: ${stderr.slice(-200)}`);
  const accounts: Outcome['accounts'][number][] = [];
  for (const { name, collector, allowed, doubtful } of sinks) {
    if (!checker.ids.every(workspace.covers(name))) violations.push(`${name}: ends without a whole checkpoint`);
    const deadLetters = workspace.deadLetters(name);
    const refuses = plan.sinks[name]?.kind.includes('refused') === true;
    const poison = refuses ? checker.texts.filter(isPoison).length : 0;
    if (deadLetters.length !== poison) violations.push(`${name}: ${deadLetters.length} set aside instead of ${poison}`);
    const received = await collector.received(events - poison);
    const account = checker.check(received, deadLetters);
    violations.push(...(await sealFaults(workspace, name, received)));
    const inFlight = collector.isExact === true ? 0 : Math.min(events, collector.inFlight(pageSize));
    accounts.push({ sink: name, account, allowed: allowed + doubtful() * inFlight });
  }
  const cuts = proxies.flatMap(({ connections }) => connections).filter(({ cut }) => cut).length;
  const bytes = {
    up: Math.max(0, ...proxies.map(({ connections }) => connections[0]?.up ?? 0)),
    down: Math.max(0, ...proxies.map(({ connections }) => connections[0]?.down ?? 0)),
  };
  return { accounts, violations, cuts, bytes };
}

/** The simulator calls `random` once per fault and request; here the plan supplies the value. */
function simulatorFaults({ faults }: SourcePlan) {
  let asked = 0;
  const random = () => {
    const [request, index] = [Math.floor(asked / faults.length), asked % faults.length];
    asked++;
    return faults[index]?.[0] === request ? 0 : 1;
  };
  return { faults: faults.map(([, kind]) => ({ kind, share: 0.5 })), random };
}

/** Describes every broken promise; empty if there is none. */
export function faultsOf({ accounts, violations }: Outcome): string[] {
  const of = accounts.flatMap(({ sink, account, allowed }) => [
    ...(account.lost.length > 0 ? [`${sink}: lost ${account.lost.length}`] : []),
    ...(account.doubled.length > allowed
      ? [`${sink}: ${account.doubled.length} came twice, at most ${allowed} may`]
      : []),
    ...account.faults.map((fault) => `${sink}: ${fault}`),
  ]);
  return [...of, ...violations];
}
