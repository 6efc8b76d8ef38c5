/** `skipped`: not verified, because of another finding or because it is switched off. */
export type Result = 'ok' | 'warning' | 'failed' | 'skipped';

/** What a failure means for the exit code (contract section 2). */
export type Failure = 'config' | 'key' | 'unreachable' | 'state' | 'bug';

/** The result of one check; every text is one printable line without secrets. */
export interface Finding {
  /** What was verified, for example `API key`. */
  readonly check: string;
  readonly result: Result;
  readonly detail: string;
  /** What to do, most likely first; at least one if the check failed. */
  readonly remedies: readonly string[];
  readonly failure?: Failure;
  /** Duration in milliseconds; absent if no work was done. */
  readonly elapsedMs?: number;
}

export const ok = (check: string, detail: string): Finding => ({ check, result: 'ok', detail, remedies: [] });

export const skipped = (check: string, detail: string): Finding => ({ check, result: 'skipped', detail, remedies: [] });

export const warning = (check: string, detail: string, ...remedies: readonly string[]): Finding => ({
  check,
  result: 'warning',
  detail,
  remedies,
});

export const failed = (
  check: string,
  failure: Failure,
  detail: string,
  remedy: string,
  ...more: readonly string[]
): Finding => ({ check, result: 'failed', failure, detail, remedies: [remedy, ...more] });

/** Runs `work` and adds its duration. */
export async function timed(work: () => Promise<Finding>): Promise<Finding> {
  const startMs = performance.now();
  const finding = await work();
  return { ...finding, elapsedMs: Math.round((performance.now() - startMs) * 10) / 10 };
}
