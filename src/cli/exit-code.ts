import type { PipelineOutcome } from '../app/pipeline-supervisor.ts';
import { SourceStop } from '../source/source.ts';
import { CheckpointProblem, StateLocked, StateProblem } from '../state/store.ts';
import { UsageError } from './command.ts';

/** The contract's exit codes (section 2). */
export const exitCode = {
  done: 0,
  usage: 64,
  /** `evidence verify`: something was changed, is missing or was doubled. */
  broken: 65,
  /** `evidence`: not everything that was asked for is covered. */
  notCovered: 66,
  unreachable: 69,
  bug: 70,
  state: 73,
  held: 75,
  key: 77,
  config: 78,
  secondSignal: 130,
} as const;

/** The code for an error that ends the program; 70 for an unexpected one. */
export function codeOf(error: unknown): number {
  if (error instanceof UsageError) return exitCode.usage;
  if (error instanceof CheckpointProblem) return exitCode.config;
  if (error instanceof StateLocked) return exitCode.held;
  if (error instanceof StateProblem) return exitCode.state;
  if (error instanceof SourceStop) return error.exitCode;
  return isFileSystems(error) ? exitCode.state : exitCode.bug;
}

const fullOrBroken = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);

/**
 * Whether it is the file system's error; a write through an open file names no path. Running pipelines wait until it passes,
 * so it is about the state at the start.
 */
function isFileSystems(error: unknown): boolean {
  if (!(error instanceof Error) || !('syscall' in error)) return false;
  return 'path' in error || fullOrBroken.has(String((error as NodeJS.ErrnoException).code));
}

/**
 * The code for how the pipelines ended: of several the highest of 78, 77, 69. A destination that is gone for good (a closed
 * pipe) took nothing more, so it counts as unreachable.
 */
export function codeOfOutcomes(outcomes: readonly PipelineOutcome[]): number {
  const codes = outcomes.map((outcome) => {
    if (outcome.kind === 'source') return outcome.error.exitCode;
    return outcome.kind === 'done' ? exitCode.done : exitCode.unreachable;
  });
  return codes.includes(exitCode.bug) ? exitCode.bug : Math.max(0, ...codes);
}
