import type { Collector } from '../fixtures/collectors.ts';
import { idOf, type Oracle } from './checker.ts';
import type { Place } from './workspace.ts';

/** What the kernel still holds for a collector at a death comes to it a little later; this long at most, milliseconds. */
const longestMs = 3_000;

export interface InFlight {
  /** Events that the collector has and no checkpoint knows of. */
  readonly open: number;
  /** Events that the checkpoint knows of and the collector does not have, or did not confirm. */
  readonly lies: number;
}

export const lieText = (lies: number) => `the checkpoint holds ${lies} that never arrived, or was not confirmed`;

/** Compares what a sink's collector has with its checkpoint, after a death. */
export async function inFlight(place: Place, sink: string, collector: Collector, oracle: Oracle): Promise<InFlight> {
  const covers = place.covers(sink);
  const covered = oracle.ids.filter(covers);
  const aside = new Set(place.aside(sink).map(({ text }) => idOf(text)));
  const deadline = performance.now() + longestMs;
  for (let quiet = 0, size = -1; ; ) {
    const ids = (await collector.held()).map(({ text }) => safeId(text)).filter((id) => id !== undefined);
    const sure = collector.confirmed?.().map(({ text }) => safeId(text));
    const has = new Set(sure ?? ids);
    const lies = covered.filter((id) => !has.has(id) && !aside.has(id)).length;
    quiet = ids.length === size ? quiet + 1 : 0;
    size = ids.length;
    if ((lies === 0 && quiet >= 2) || performance.now() > deadline)
      return { open: ids.filter((id) => !covers(id)).length, lies };
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function safeId(text: string): bigint | undefined {
  try {
    return idOf(text);
  } catch {
    return undefined;
  }
}
