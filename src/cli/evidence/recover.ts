import { openState, tenantIdentity } from '../../app/open-state.ts';
import { type FoundSeal, verifyChain } from '../../evidence/chain.ts';
import { Interval } from '../../evidence/interval.ts';
import { verifyingKey } from '../../evidence/keys.ts';
import { parseSeal } from '../../evidence/seal.ts';
import { printable } from '../../lib/printable.ts';
import { recoveredSeal } from '../../pipeline/sealer.ts';
import { requireSink } from '../arguments.ts';
import { type CliContext, UsageError, type Values } from '../command.ts';
import { Lookup } from '../cursor/lookup.ts';
import { exitCode } from '../exit-code.ts';
import { readConfig, realContext } from '../set-up.ts';
import { InputProblem, readSeals } from './input.ts';
import { requireTenant } from './tenant.ts';

/**
 * `evidence recover`: makes the checkpoint of a sink from the newest of the seals that are given. What was delivered after
 * that seal is delivered again, and the next seal announces it. @throws {StateLocked} @throws {InputProblem}
 */
export async function recover(values: Values, cli: CliContext): Promise<number> {
  const { seals: path, sink } = values;
  if (typeof path !== 'string' || typeof sink !== 'string')
    throw new UsageError('evidence recover: write --seals FILE and --sink NAME');
  const loaded = await readConfig(values['config'] as string | undefined, cli);
  if (loaded === undefined) return exitCode.config;
  const { config } = loaded;
  requireTenant(values, config);
  requireSink(
    sink,
    config.sinks.map(({ name }) => name),
  );
  const tenant = tenantIdentity(config);
  const ctx = realContext(config, cli);
  await using backend = openState(config, ctx);
  await using store = await backend.own(tenant, cli.signals);
  const found = await chainOf(path, tenant.name, sink);
  const newest = found.at(-1);
  if (newest === undefined) {
    cli.complain(`${printable(path, 500)} has no seals of ${sink} of ${tenant.name}`);
    return exitCode.notCovered;
  }
  const key = config.evidence?.keyFile?.key;
  const problem = trustProblem(found, key?.publicDer);
  if (problem !== undefined) {
    cli.complain(problem);
    return exitCode.broken;
  }
  if ((await store.inspect()).some((one) => one.sink === sink))
    throw new InputProblem(
      `${sink} has a checkpoint already, and it is not overwritten: remove it with "cursor reset ${sink}", or move it with "cursor set"`,
    );
  const { seal, line } = newest;
  using lookup = new Lookup(config, ctx, cli.signals.graceful);
  const after = BigInt(seal.to.after);
  const head = await lookup.newest(after);
  if (head === undefined) {
    cli.complain(`QA Sphere API: ${lookup.problem ?? 'no answer'}`);
    return exitCode.unreachable;
  }
  await cli.print(
    `${sink}: seal ${seal.seq} of ${seal.to.at} ends at event ${after}. Delivery continues after it; events ${after + 1n} to ${head} may be delivered twice.\n`,
  );
  if (!(values['yes'] === true || (await cli.confirm('Do it?'))) || cli.signals.graceful.aborted) {
    cli.complain('nothing was changed');
    return exitCode.done;
  }
  await store.record({ operation: 'evidence recover', sink, from: seal.seq, after, to: head });
  const existing = parseSeal((await store.seals(sink).newest()) ?? '');
  const stored = existing.kind === 'seal' ? existing.seal.seq : 0;
  for (const one of found)
    if (one.seal.seq > stored) await store.seals(sink).append(one.line, Date.parse(one.seal.to.at));
  const interval = Interval.following(seal, line, { key: nextKeyOf(newest), isRecovered: true });
  const operations = {
    op: 'recover',
    from: String(after),
    to: String(head),
    ...(head > after && { ids: `${after + 1n}-${head}` }),
  } as const;
  const { end } = await store.operations(0);
  const checkpoint = { sink, source: config.source.url, after, delivered: [], refusedInRow: 0 };
  await store.overwrite({ ...checkpoint, seal: recoveredSeal(interval, operations, end) });
  await cli.print('done\n');
  return exitCode.done;
}

/** The seals of one sink, in order. @throws {InputProblem} */
async function chainOf(path: string, tenant: string, sink: string): Promise<readonly FoundSeal[]> {
  const { found } = await readSeals(path);
  const own = found.filter(({ seal }) => seal.tenant === tenant && seal.sink === sink);
  const byLine = new Map(own.map((one) => [one.line, one]));
  return [...byLine.values()].sort((a, b) => a.seal.seq - b.seal.seq);
}

/** Why the newest seal can't be trusted. */
function trustProblem(found: readonly FoundSeal[], publicDer: string | undefined): string | undefined {
  const newest = found.at(-1) as FoundSeal;
  const signedBy = nextKeyOf(newest);
  if (publicDer !== undefined && verifyingKey(publicDer).id !== signedBy)
    return `seal ${newest.seal.seq} is signed with key ${signedBy ?? 'none'}, and evidence.keyFile holds ${verifyingKey(publicDer).id}`;
  const isSigner = publicDer !== undefined && newest.seal.key === verifyingKey(publicDer).id;
  const chain = verifyChain([newest], {
    ...(isSigner && { publicKey: verifyingKey(publicDer) }),
    fromMs: Date.parse(newest.seal.from.at),
  });
  return chain.flaws.find(({ verdict }) => verdict === 'broken')?.detail;
}

const nextKeyOf = ({ seal }: FoundSeal): string | null =>
  seal.nextKey === undefined ? seal.key : verifyingKey(seal.nextKey).id;
