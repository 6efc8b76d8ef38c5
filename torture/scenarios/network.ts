import type { Outcome } from '../engine/history.ts';
import { commandOf, type Plan } from '../engine/plan.ts';
import { Pool } from '../engine/pool.ts';
import { type Row, Tally } from '../engine/table.ts';
import { kinds } from '../fixtures/collectors.ts';
import type { Direction, NetFault } from '../fixtures/proxy.ts';

export interface NetworkOptions {
  /** Places of a cut, for each way and kind; all of the first `every` bytes where there are enough. */
  readonly points: number;
  readonly seed: number;
}

/** With points without end every byte is a place for a cut up to here. */
const every = 1_000;
const events = 120;
const pageSize = 40;

/** What the proxy stands before: the source of an HEC sink, or a collector. */
const confirming = ['source', 'HEC', 'HEC with ack', 'syslog relp'];
/** Whose bytes the proxy's kernel confirms although the proxy never passes them on: only a real network can be silent to them. */
const streams = ['syslog tcp', 'syslog tls'].filter((kind) => kinds[kind]?.missing === undefined);
const all = [...confirming, ...streams];

/** What comes before a first answer that can be lost: RELP's offers. */
const offersBytes = 120;
const isRelp = (kind: string) => kind.includes('relp');

interface Scenario {
  readonly name: string;
  readonly over: readonly string[];
  /** Faults for a kind, where so many bytes went through its first connection. */
  faults(kind: string, bytes: Outcome['bytes'], options: NetworkOptions): readonly NetFault[];
  readonly bound: string;
}

const perCut = 'cut connections × in flight (HEC and RELP 40, ack and streams 120)';
const cuts = (direction: Direction, bytes: Outcome['bytes'], { points, seed }: NetworkOptions) =>
  placesIn(bytes[direction], points, seed).map(
    (after): NetFault => ({ kind: 'reset', direction, after, connections: [0] }),
  );

const scenarios: readonly Scenario[] = [
  {
    name: 'every piece 80 ms late',
    over: all,
    faults: () => [{ kind: 'latency', ms: 80 }],
    bound: '0',
  },
  {
    name: '30 kB a second',
    over: all,
    faults: () => [{ kind: 'bandwidth', bytesPerSecond: 30_000 }],
    bound: '0',
  },
  {
    name: 'reset after k bytes there',
    over: all,
    faults: (_, bytes, options) => cuts('up', bytes, options),
    bound: perCut,
  },
  {
    name: 'reset after k bytes back',
    over: all,
    faults: (_, bytes, options) => cuts('down', bytes, options),
    bound: perCut,
  },
  {
    name: 'reset in each of the first four connections',
    over: all,
    faults: () =>
      [400, 1_500].map((after): NetFault => ({ kind: 'reset', direction: 'up', after, connections: [0, 1, 2, 3] })),
    bound: perCut,
  },
  {
    name: 'answers lost after the commit, three in a row',
    over: confirming,
    faults: (kind) => [
      { kind: 'reset', direction: 'down', after: isRelp(kind) ? offersBytes : 0, connections: [0, 1, 2] },
    ],
    bound: perCut,
  },
  {
    name: 'half-open: the peer is gone without a word',
    over: confirming,
    faults: (kind, { up }) => [
      ...[0, 600, up >> 1].map((after): NetFault => ({ kind: 'vanish', direction: 'up', after, connections: [0] })),
      ...[0, isRelp(kind) ? offersBytes : 100].map(
        (after): NetFault => ({ kind: 'vanish', direction: 'down', after, connections: [0, 1] }),
      ),
    ],
    bound: perCut,
  },
  {
    name: 'a black hole for two seconds',
    over: confirming,
    faults: () => [{ kind: 'black-hole', forMs: 2_000 }],
    bound: '0',
  },
];

/** A network between the forwarder, its source and its collectors that does what networks do. */
export async function networkRows(options: NetworkOptions, only: (name: string) => boolean): Promise<Row[]> {
  const wanted = scenarios.filter(({ name }) => only(`network: ${name}`));
  if (wanted.length === 0) return [];
  using pool = new Pool();
  const sizes = new Map<string, Outcome['bytes']>();
  // A proxy that waits for nothing counts what goes through.
  const dry = all.map((kind) => planOf(kind, { kind: 'latency', ms: 0 }));
  await pool.play(dry, ({ bytes }, plan) => sizes.set(kindOf(plan), bytes));
  const rows: Row[] = [];
  for (const { name, over, faults, bound } of wanted) {
    const tally = new Tally(`network: ${name}`, bound);
    let missed = 0;
    let met = 0;
    const plans = over.flatMap((kind) =>
      faults(kind, sizes.get(kind) ?? { up: 0, down: 0 }, options).map((fault) => planOf(kind, fault)),
    );
    await pool.play(plans, (outcome, plan) => {
      const where = `${kindOf(plan)}: ${commandOf(plan)}`;
      tally.run();
      for (const { account, allowed } of outcome.accounts) tally.part(account, bound === '0' ? 0 : allowed, where);
      for (const violation of outcome.violations) tally.violation(`${violation} (${where})`);
      if (!isGradual(plan)) outcome.cuts > 0 ? met++ : missed++;
    });
    if (missed > met / 4) tally.violation(`${missed} of ${missed + met} runs never met their fault: nothing is shown`);
    rows.push(tally.row());
  }
  return rows;
}

const netOf = ({ source, sinks }: Plan) => source.net ?? Object.values(sinks)[0]?.net;
const isGradual = (plan: Plan) => ['latency', 'bandwidth'].includes(netOf(plan)?.kind ?? '');
const kindOf = ({ source, sinks }: Plan) =>
  source.net === undefined ? (Object.values(sinks)[0]?.kind ?? '') : 'source';

function planOf(kind: string, net: NetFault): Plan {
  const sink = { faults: [], more: ', timeout: 5s' };
  return {
    seed: 1,
    events,
    pageSize,
    source: { faults: [], ...(kind === 'source' && { net }) },
    sinks: { sink: kind === 'source' ? { kind: 'HEC', ...sink } : { kind, ...sink, net } },
    kills: [],
  };
}

/** All of the first bytes, or so many of all, the small ones closer together; another seed chooses others. */
function placesIn(bytes: number, points: number, seed: number): number[] {
  if (points >= every) return Array.from({ length: Math.min(bytes, every) }, (_, at) => at);
  const shift = (seed * 0.618034) % 1;
  const places = Array.from({ length: points }, (_, index) => Math.floor(bytes * ((index + shift) / points) ** 2));
  return [...new Set([0, ...places])];
}
