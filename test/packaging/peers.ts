import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/testing/simulator/server.ts';
import { type Fault, type HecServer, startHecServer } from '../support/hec-server.ts';
import { until } from './checks.ts';

export const firstKey = 'SIEM-LOG-ONLY-first';

/** A QA Sphere and a Splunk on this host's loopback, and what came from one to the other. */
export interface Peers extends AsyncDisposable {
  readonly simulator: Simulator;
  readonly hec: HecServer;
  /** What the collector does with the requests from now on. */
  fault: Fault | undefined;
  /** Ids up to this one that exist and did not arrive. */
  missing(upTo: bigint): bigint[];
  /** Events that arrived beyond the first time. */
  doubles(): number;
}

/** Waits until all that exists at this moment has arrived. @throws with what is missing */
export async function allArrived(peers: Peers, timeoutMs = 30_000): Promise<void> {
  const upTo = peers.simulator.lastId();
  await until(
    () => peers.missing(upTo).length === 0,
    () => `${peers.missing(upTo).length} of the events up to ${upTo} did not arrive`,
    timeoutMs,
  );
}

export async function startPeers(options: SimulatorOptions = {}): Promise<Peers> {
  const simulator = await startSimulator({ events: 1_000, rate: 20, key: firstKey, ...options });
  const hec = await startHecServer({ fault: () => peers.fault });
  const arrived = () => hec.events.map(({ raw }) => BigInt((JSON.parse(String(raw)) as { id: number }).id));
  const peers: Peers = {
    simulator,
    hec,
    fault: undefined,
    missing(upTo) {
      const ids = new Set(arrived());
      const all = simulator.generated?.page(0n, 10_000_000) ?? [];
      return all
        .map((text) => BigInt((JSON.parse(text) as { id: number }).id))
        .filter((id) => id <= upTo && !ids.has(id));
    },
    doubles() {
      const ids = arrived();
      return ids.length - new Set(ids).size;
    },
    async [Symbol.asyncDispose]() {
      await simulator.close();
      await hec[Symbol.asyncDispose]();
    },
  };
  return peers;
}
