import type { Context } from '../../app/context.ts';
import { openState, tenantIdentity } from '../../app/open-state.ts';
import type { Config } from '../../config/schema.ts';
import { type Finding, failed, ok, timed, warning } from '../../lib/finding.ts';
import { StateProblem } from '../../state/store.ts';
import { type CursorRow, listCursors } from '../cursor/list-cursors.ts';

export interface StateCheck {
  readonly findings: Finding[];
  readonly cursors: readonly CursorRow[];
  /** A daemon runs. */
  readonly held: boolean;
}

/** Whether the state can be used. Creates and changes nothing. */
export async function checkState(config: Config, ctx: Pick<Context, 'emit' | 'now'>): Promise<StateCheck> {
  await using backend = openState(config, ctx);
  const tenant = tenantIdentity(config);
  const findings = await backend.examine();
  if (findings[0]?.result === 'failed') return { findings, cursors: [], held: false };
  let held = false;
  const lock = await attempt('lock', 'put state.directory on a local file system, readable for this user', async () => {
    const owner = await backend.owner(tenant);
    held = owner !== undefined;
    return ok('lock', owner === undefined ? 'free' : `held by ${owner}: a daemon is running`);
  });
  let cursors: CursorRow[] = [];
  const remedy = `make every file in ${backend.location} readable for this user`;
  const checkpoints = await attempt('checkpoints', remedy, async () => {
    cursors = await listCursors(config, backend.share(tenant));
    return checkpointFinding(cursors);
  });
  return { findings: [...findings, lock, checkpoints], cursors, held };
}

function attempt(check: string, remedy: string, work: () => Promise<Finding>): Promise<Finding> {
  return timed(async () => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StateProblem)) throw error;
      return failed(check, 'state', error.message, remedy);
    }
  });
}

function checkpointFinding(cursors: readonly CursorRow[]): Finding {
  const check = 'checkpoints';
  const bad = cursors.filter(
    ({ state, configured }) => configured && ['damaged', 'newer', 'other tenant'].includes(state),
  );
  const [worst] = bad;
  if (worst !== undefined) {
    const details = bad.map(
      ({ sink, state, detail }) => `${sink}: ${state}${detail === undefined ? '' : ` (${detail})`}`,
    );
    const remedy =
      worst.state === 'newer'
        ? 'install the newer version again, or move the named file away and use "cursor set"'
        : `look up the last delivered id in the SIEM and run "cursor set ${worst.sink} ID", or start again with "cursor reset ${worst.sink}"`;
    return failed(check, 'config', details.join('; '), remedy);
  }
  const fallback = cursors.filter(({ state, configured }) => configured && state === 'fallback');
  if (fallback.length > 0) return warning(check, fallback.map(({ sink, detail }) => `${sink}: ${detail}`).join('; '));
  const orphans = cursors.filter(({ configured }) => !configured).map(({ sink }) => sink);
  if (orphans.length > 0)
    return warning(
      check,
      `not configured: ${orphans.join(', ')}`,
      'if a sink was renamed: "cursor rename OLD NEW"; if it was removed: "cursor reset"',
    );
  const starting = cursors.filter(({ state }) => state === 'none').map(({ sink }) => sink);
  if (starting.length === 0) return ok(check, 'every sink has one');
  return ok(check, `first start, by source.startAt: ${starting.join(', ')}`);
}
