import type { FaultKind } from '../../src/testing/simulator/faults.ts';
import { Prng } from '../../src/testing/simulator/prng.ts';
import type { Fault } from '../../test/support/hec-server.ts';
import type { Direction, NetFault } from '../fixtures/proxy.ts';

/** Everything that happens in a short history. Printed as one line of JSON, it can be replayed. */
export interface Plan {
  /** Seed of the events and of the waits. */
  readonly seed: number;
  readonly events: number;
  readonly pageSize: number;
  readonly source: SourcePlan;
  readonly sinks: Readonly<Record<string, SinkPlan>>;
  /** Kill points, one run each; a final run without a kill follows. */
  readonly kills: readonly string[];
}

export interface SourcePlan {
  /** The fault of each affected request, counted from 0. */
  readonly faults: readonly (readonly [at: number, kind: FaultKind])[];
  readonly net?: NetFault;
}

export interface SinkPlan {
  /** The collector's kind. */
  readonly kind: string;
  /** The fault of each affected request or frame, counted from 0. */
  readonly faults: readonly (readonly [at: number, fault: Fault])[];
  readonly net?: NetFault;
  /** Further keys of its configuration entry. */
  readonly more?: string;
}

/** Transient source faults; an empty page or a rejected key is not transient. */
const sourceFaults: readonly [FaultKind, ...FaultKind[]] = [
  '408', '429', '429-bare', '500', '502', '503', '504', 'reset', 'reset-body', 'reset-after', 'truncated',
  'truncated-gzip', 'html', 'no-events',
]; // biome-ignore format: a list
type Faults = readonly [Fault & string, ...(Fault & string)[]];
const hecFaults: Faults = [
  'busy', 'error', 'throttle', 'not-found', 'reset-before', 'reset-after', 'queue-warning',
]; // biome-ignore format: a list
const httpFaults: Faults = ['busy', 'error', 'throttle', 'reset-before', 'reset-after'];
const ackFaults: Faults = [...hecFaults, 'ack-warning', 'swallow-ack', 'late-ack', 'lose-ack'];
const steps = ['send ', 'sent ', 'half-sent ', 'received ', 'http-end ', 'http-finish ', 'written stdout', 'half-written stdout', 'rename console.json', 'rename refusing.json', 'sync checkpoints', 'http-response ', 'half-written ack.json.tmp', 'write refusing.ndjson', 'synced relp.json.tmp'] as const; // biome-ignore format: a list

const kinds = {
  hec: 'HEC',
  ack: 'HEC with ack',
  refusing: 'HEC, some refused',
  relp: 'syslog relp',
  console: 'stdout file',
  lake: 'file',
  web: 'HTTP',
  otel: 'OTLP',
  azure: 'Sentinel',
  objects: 'S3',
  search: 'Elasticsearch',
} as const;

const faultsBySink: Readonly<Record<string, Faults>> = { hec: hecFaults, refusing: hecFaults, ack: ackFaults };

/** More faults in a row would make the waits longer than the patience of `once`. */
const MAX_IN_A_ROW = 4;

/** After three uploads without an answer an object is made smaller, so another one has its events too. */
const lostInARow = 2;

/** Request timeout: longer than a busy machine takes to answer. */
const timeout = ', timeout: 5s';

/** Faults of the source and all sinks at once, with up to two kills, and network faults if `network` is set. */
export function planOf(seed: number, network: boolean): Plan {
  const prng = new Prng().aim(seed, 0);
  const share = prng.share() * 0.3;
  const chosen = [0, 1].map(() => prng.pick(sourceFaults)) as [FaultKind, ...FaultKind[]];
  const faultsOf = <F>(own: Prng, count: number, often: number, pick: () => F, most = MAX_IN_A_ROW) => {
    let inRow = 0;
    const hits = Array.from({ length: count }, () => {
      inRow = own.share() < often && inRow < most ? inRow + 1 : 0;
      return inRow > 0;
    });
    return hits.flatMap((hit, at) => (hit ? [[at, pick()] as const] : []));
  };
  const sinks = Object.entries(kinds).map(([name, kind], index): [string, SinkPlan] => {
    const own = new Prng().aim(seed, index + 1);
    if (name === 'console' || name === 'lake') return [name, { kind, faults: [] }];
    const isObjects = name === 'objects';
    // A RELP frame is one event, so a smaller share of them fails.
    const faults: SinkPlan['faults'] =
      name === 'relp'
        ? faultsOf(own, 240, share / 37, () => 'reset-after' as const)
        : faultsOf(
            own,
            40,
            share,
            () => own.pick(faultsBySink[name] ?? httpFaults),
            isObjects ? lostInARow : undefined,
          );
    const net = network && !isObjects && own.share() < share ? netFault(own) : undefined;
    return [name, { kind, faults, more: timeout, ...(net !== undefined && { net }) }];
  });
  const kills = Array.from({ length: prng.below(3) }, () => `${prng.pick(steps)} ${prng.below(6)}`);
  const net = network && prng.share() < share ? netFault(prng) : undefined;
  const faults = faultsOf(prng, 40, share, () => prng.pick(chosen));
  return {
    seed,
    events: 120,
    pageSize: 40,
    source: { faults, ...(net !== undefined && { net }) },
    sinks: Object.fromEntries(sinks),
    kills,
  };
}

function netFault(prng: Prng): NetFault {
  const direction = prng.pick<Direction>(['up', 'down']);
  const at = { direction, after: prng.below(direction === 'up' ? 4_000 : 400), connections: [prng.below(3)] };
  switch (prng.below(6)) {
    case 0:
      return { kind: 'latency', ms: 1 + prng.below(60) };
    case 1:
      return { kind: 'bandwidth', bytesPerSecond: 20_000 + prng.below(100_000) };
    case 2:
      return { kind: 'vanish', ...at };
    default:
      return { kind: 'reset', ...at };
  }
}

/** The command that replays a plan. */
export const commandOf = (plan: Plan): string => `npm run torture -- plan '${JSON.stringify(plan)}'`;
