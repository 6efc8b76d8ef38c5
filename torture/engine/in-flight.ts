import type { Collector } from '../fixtures/collectors.ts';
import { type Checker, idOf } from './checker.ts';
import type { Workspace } from './workspace.ts';

/** What the kernel still holds for a collector at a death comes to it a little later; this long at most, milliseconds. */
const longestMs = 3_000;

export interface InFlight {
  /** Events that the collector has and no checkpoint knows of. */
  readonly open: number;
  /** Events that the checkpoint knows of and the collector does not have, or did not confirm. */
  readonly falseCheckpoints: number;
}

export const falseCheckpointText = (falseCheckpoints: number) =>
  `the checkpoint holds ${falseCheckpoints} that never arrived, or was not confirmed`;

/** Compares what a sink's collector has with its checkpoint, after a death. */
export async function inFlight(
  workspace: Workspace,
  sink: string,
  collector: Collector,
  checker: Checker,
): Promise<InFlight> {
  const covers = workspace.covers(sink);
  const covered = checker.ids.filter(covers);
  const deadLetters = new Set(workspace.deadLetters(sink).map(({ text }) => idOf(text)));
  const deadline = performance.now() + longestMs;
  for (let quiet = 0, size = -1; ; ) {
    const ids = (await collector.received()).map(({ text }) => safeId(text)).filter((id) => id !== undefined);
    const sure = collector.confirmed?.().map(({ text }) => safeId(text));
    const has = new Set(sure ?? ids);
    const falseCheckpoints = covered.filter((id) => !has.has(id) && !deadLetters.has(id)).length;
    quiet = ids.length === size ? quiet + 1 : 0;
    size = ids.length;
    if ((falseCheckpoints === 0 && quiet >= 2) || performance.now() > deadline)
      return { open: ids.filter((id) => !covers(id)).length, falseCheckpoints };
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
