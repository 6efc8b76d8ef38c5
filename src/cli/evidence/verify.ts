import { readFile } from 'node:fs/promises';
import { type Chain, type Flaw, type FoundSeal, verifyChain } from '../../evidence/chain.ts';
import { exportedLine } from '../../evidence/exported-line.ts';
import { KeyProblem, type VerifyingKey, verifyingKey } from '../../evidence/keys.ts';
import { type RecordCounts, RecordVerifier } from '../../evidence/verify-records.ts';
import { printable } from '../../lib/printable.ts';
import { type CliContext, UsageError, type Values } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { jsonLine } from '../table.ts';
import { InputProblem, linesOf, readSeals } from './input.ts';
import { verifyProof } from './proof.ts';

type Verdict = 'proved' | 'broken' | 'not covered';

interface Report {
  readonly chain: Chain;
  readonly counts: RecordCounts | undefined;
  readonly flaws: readonly Flaw[];
}

/** `evidence verify`: offline; reads only what the flags name. @returns the exit code @throws {InputProblem} */
export async function verify(values: Values, cli: CliContext): Promise<number> {
  const text = (name: string) => values[name] as string | undefined;
  const publicKeyFile = text('public-key');
  const publicKey = publicKeyFile === undefined ? undefined : await readPublicKey(publicKeyFile);
  const proof = text('proof');
  if (proof !== undefined) return await verifyProof(proof, publicKey, cli, values['json'] === true);
  const seals = text('seals');
  if (seals === undefined) throw new UsageError('evidence verify: write --seals FILE or DIR, or --proof FILE');
  const [fromMs, toMs] = [timeOf(values, 'from'), timeOf(values, 'to')];
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs)
    throw new UsageError('evidence verify: --from must be earlier than --to');
  const { found, damaged } = await readSeals(seals);
  const chains = chainsOf(found, text('tenant'), text('sink'));
  const records = text('records');
  if (records !== undefined && chains.length > 1)
    throw new UsageError(
      `evidence verify: there are seals of several sinks, so write --sink NAME: ${chains.map(nameOf).join(', ')}`,
    );
  const reports: Report[] = [];
  for (const one of chains) {
    const chain = verifyChain(one, { publicKey, fromMs, toMs });
    const about = damaged.map((detail): Flaw => ({ verdict: 'broken', about: 'integrity', detail }));
    reports.push({ chain, ...(await withRecords(chain, records, [...about, ...chain.flaws])) });
  }
  if (reports.length === 0) return await nothing(damaged, values, cli);
  await cli.print(values['json'] === true ? jsonLine(json(reports)) : reports.map(textOf).join('\n'));
  return codeOf(reports.flatMap(({ flaws }) => flaws));
}

/** @throws {InputProblem} */
async function readPublicKey(path: string): Promise<VerifyingKey> {
  try {
    return verifyingKey(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof KeyProblem) throw new InputProblem(`${printable(path, 500)} ${error.message}`);
    const { code } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string') throw error;
    throw new InputProblem(
      `${printable(path, 500)} ${code === 'ENOENT' ? 'does not exist' : `can't be read (${code})`}`,
    );
  }
}

/** @throws {UsageError} */
function timeOf(values: Values, name: string): number | undefined {
  const text = values[name];
  if (typeof text !== 'string') return undefined;
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw new UsageError(`--${name}: write a date or time, such as 2026-11-01 or 2026-11-01T00:00:00Z`);
  return ms;
}

/** The seals by tenant and sink. */
function chainsOf(found: readonly FoundSeal[], tenant: string | undefined, sink: string | undefined): FoundSeal[][] {
  const chains = new Map<string, FoundSeal[]>();
  for (const one of found) {
    if ((tenant ?? one.seal.tenant) !== one.seal.tenant || (sink ?? one.seal.sink) !== one.seal.sink) continue;
    const name = JSON.stringify([one.seal.tenant, one.seal.sink]);
    const chain = chains.get(name) ?? [];
    chain.push(one);
    chains.set(name, chain);
  }
  return [...chains.values()];
}

const nameOf = ([first]: readonly FoundSeal[]) =>
  first === undefined ? '' : `${first.seal.sink} of ${first.seal.tenant}`;

async function withRecords(
  chain: Chain,
  records: string | undefined,
  flaws: readonly Flaw[],
): Promise<{ readonly counts: RecordCounts | undefined; readonly flaws: readonly Flaw[] }> {
  const missing = (detail: string): Flaw => ({ verdict: 'not covered', about: 'completeness', detail });
  if (records === undefined)
    return { counts: undefined, flaws: [...flaws, missing('no records are given: use --records')] };
  using verifier = new RecordVerifier(chain);
  let lines = 0;
  for await (const { line, number } of linesOf(records)) {
    if (line.length === 0) continue;
    const exported = exportedLine(line);
    if (exported.kind === 'unreadable')
      throw new InputProblem(`${printable(records, 500)} line ${number} is no record: ${exported.detail}`);
    verifier.add(exported);
    lines += 1;
  }
  const result = verifier.finish();
  const none = lines === 0 ? [missing(`${printable(records, 500)} holds no records`)] : [];
  return { counts: result.counts, flaws: [...flaws, ...result.flaws, ...none] };
}

/** There are no seals of what was asked for. */
async function nothing(damaged: readonly string[], values: Values, cli: CliContext): Promise<number> {
  const asked = ['tenant', 'sink'].flatMap((name) =>
    values[name] === undefined ? [] : [`${name} ${String(values[name])}`],
  );
  const detail = ['no seals', ...asked].join(' of ');
  const integrity: Verdict = damaged.length > 0 ? 'broken' : 'not covered';
  const problems = [...damaged, detail];
  if (values['json'] === true)
    await cli.print(jsonLine({ v: 1, integrity, completeness: 'not covered', problems, chains: [] }));
  else await cli.print(`${problems.join('\n')}\nintegrity: ${integrity}\ncompleteness: not covered\n`);
  return damaged.length > 0 ? exitCode.broken : exitCode.notCovered;
}

function verdictOn(about: Flaw['about'], flaws: readonly Flaw[]): Verdict {
  const own = flaws.filter((flaw) => flaw.about === about).map(({ verdict }) => verdict);
  if (own.includes('broken')) return 'broken';
  return own.includes('not covered') ? 'not covered' : 'proved';
}

function codeOf(flaws: readonly Flaw[]): number {
  if (flaws.some(({ verdict }) => verdict === 'broken')) return exitCode.broken;
  return flaws.length > 0 ? exitCode.notCovered : exitCode.done;
}

function textOf({ chain, counts, flaws }: Report): string {
  const { tenant, sink, seals, valid, key } = chain;
  const [first, last] = [seals[0]?.seal, seals.at(-1)?.seal];
  const range = first && last ? `, ${first.from.at} to ${last.to.at}` : '';
  const signed = key === null ? ', not signed: detects accidents, not intent' : `, key ${key}`;
  const lines = [
    `sink ${printable(sink, 63)} of ${printable(tenant, 255)}`,
    ...flaws.map(({ verdict, detail }) => `${verdict}: ${printable(detail, 1000)}`),
    `seals      ${valid} of ${seals.length} valid${range}${signed}`,
    ...(counts === undefined ? [] : [recordsText(counts)]),
    `integrity: ${verdictOn('integrity', flaws)}`,
    `completeness: ${verdictOn('completeness', flaws)}`,
  ];
  return `${lines.join('\n')}\n`;
}

function recordsText(counts: RecordCounts): string {
  const { present, delivered, changed, duplicated, announced, unknown, unsealed, filtered, deadLettered } = counts;
  const more = unsealed > 0 ? `, ${unsealed} not sealed` : '';
  return `records    ${present} of ${delivered} present, ${changed} changed, ${duplicated} duplicated (${announced} announced), ${unknown} unknown${more}; ${filtered} filtered, ${deadLettered} dead-lettered`;
}

function json(reports: readonly Report[]) {
  const all = reports.flatMap(({ flaws }) => flaws);
  return {
    v: 1,
    integrity: verdictOn('integrity', all),
    completeness: verdictOn('completeness', all),
    chains: reports.map(({ chain, counts, flaws }) => ({
      tenant: chain.tenant,
      sink: chain.sink,
      integrity: verdictOn('integrity', flaws),
      completeness: verdictOn('completeness', flaws),
      seals: {
        valid: chain.valid,
        total: chain.seals.length,
        from: chain.seals[0]?.seal.from.at ?? null,
        to: chain.seals.at(-1)?.seal.to.at ?? null,
        key: chain.key,
      },
      records: counts ?? null,
      problems: flaws,
    })),
  };
}
