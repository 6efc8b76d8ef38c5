import { openState, tenantIdentity } from '../../app/open-state.ts';
import type { Cursor } from '../../event/event.ts';
import { parseSeal, type Seal } from '../../evidence/seal.ts';
import { printable } from '../../lib/printable.ts';
import type { CheckpointState, SealStore } from '../../state/store.ts';
import type { CliContext, Values } from '../command.ts';
import { headOf } from '../cursor/list-cursors.ts';
import { exitCode } from '../exit-code.ts';
import { readConfig, realContext } from '../set-up.ts';
import { jsonLine, table } from '../table.ts';
import { requireTenant } from './tenant.ts';

interface SealStatus {
  readonly sink: string;
  /** Absent: there is no seal. */
  readonly seq?: number;
  readonly to?: string;
  readonly ageSeconds?: number;
  /** The last id that is sealed. */
  readonly sealedUpTo?: Cursor;
  readonly events?: number;
  readonly key?: string | null;
  /** The last id that is delivered; ids above `sealedUpTo` are not sealed yet. */
  readonly deliveredUpTo?: Cursor;
  readonly location: string;
  readonly problem?: string;
}

/** `evidence status`: from the stored state; changes nothing. Exit code 66 if a sink has no seal. */
export async function status(values: Values, cli: CliContext): Promise<number> {
  const loaded = await readConfig(values['config'] as string | undefined, cli);
  if (loaded === undefined) return exitCode.config;
  const { config } = loaded;
  requireTenant(values, config);
  const ctx = realContext(config, cli);
  await using backend = openState(config, ctx);
  const state = backend.share(tenantIdentity(config));
  const checkpoints = new Map((await state.inspect()).map((found) => [found.sink, found]));
  const rows: SealStatus[] = [];
  for (const { name } of config.sinks)
    rows.push(await statusOf(name, state.seals(name), checkpoints.get(name), ctx.now()));
  if (values['json'] === true) await cli.print(jsonLine({ configured: config.evidence !== undefined, sinks: rows }));
  else await cli.print(textOf(rows, config.evidence !== undefined));
  return rows.every(({ seq }) => seq !== undefined) ? exitCode.done : exitCode.notCovered;
}

async function statusOf(
  sink: string,
  seals: SealStore,
  stored: CheckpointState | undefined,
  nowMs: number,
): Promise<SealStatus> {
  const { location } = seals;
  const checkpoint = stored?.checkpoint;
  const delivered = checkpoint && { deliveredUpTo: headOf(checkpoint) };
  const line = await seals.newest();
  if (line === undefined) return { sink, location, ...delivered };
  const parsed = parseSeal(line);
  if (parsed.kind !== 'seal')
    return { sink, location, ...delivered, problem: `the newest seal is damaged: ${parsed.detail}` };
  return { sink, location, ...factsOf(parsed.seal, nowMs), ...delivered };
}

const factsOf = ({ seq, to, tree, key }: Seal, nowMs: number) => ({
  ...{ seq, to: to.at, events: tree.size, key, sealedUpTo: BigInt(to.after) },
  ageSeconds: Math.max(0, Math.round((nowMs - Date.parse(to.at)) / 1000)),
});

function textOf(rows: readonly SealStatus[], isConfigured: boolean): string {
  const heading = [
    'SINK',
    'SEAL',
    'SEALED AT',
    'AGE',
    'EVENTS',
    'SEALED UP TO',
    'DELIVERED UP TO',
    'KEY',
    'NOT SEALED YET',
  ];
  const lines = rows.map(({ sink, seq, to, ageSeconds, events, sealedUpTo, deliveredUpTo, key, problem }) => {
    const rest = [to, ageSeconds === undefined ? undefined : `${ageSeconds} s`, events, sealedUpTo, deliveredUpTo];
    const open =
      (deliveredUpTo ?? 0n) > (sealedUpTo ?? 0n) ? `ids ${(sealedUpTo ?? 0n) + 1n} to ${deliveredUpTo}` : '-';
    const texts = [seq ?? 'none', ...rest, seq === undefined ? undefined : (key ?? 'not signed'), problem ?? open];
    return [sink, ...texts.map((value) => printable(String(value ?? '-'), 200))];
  });
  const note = isConfigured ? '' : 'evidence is not configured: no new seals are written\n\n';
  return `${note}${table([heading, ...lines])}`;
}
