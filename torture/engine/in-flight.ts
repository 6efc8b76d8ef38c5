import type { Collector } from '../fixtures/collectors.ts';
import { type Checker, idOf } from './checker.ts';
import type { Workspace } from './workspace.ts';

/** How long data that the kernel still holds at a kill may take to reach the collector, milliseconds. */
const MAX_WAIT_MS = 3_000;

export interface InFlight {
  /** Events that the collector has and the checkpoint does not cover. */
  readonly open: number;
  /** Events that the checkpoint covers although the collector does not have them or did not confirm them. */
  readonly falseCheckpoints: number;
}

export const falseCheckpointText = (falseCheckpoints: number) =>
  `the checkpoint holds ${falseCheckpoints} that never arrived, or was not confirmed`;

/** Compares a sink's collector with its checkpoint after a kill. */
export async function inFlight(
  workspace: Workspace,
  sink: string,
  collector: Collector,
  checker: Checker,
): Promise<InFlight> {
  const covers = workspace.covers(sink);
  const covered = checker.ids.filter(covers);
  const deadLetters = new Set(workspace.deadLetters(sink).map(({ text }) => idOf(text)));
  const deadline = performance.now() + MAX_WAIT_MS;
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
