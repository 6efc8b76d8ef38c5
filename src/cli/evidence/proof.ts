import { readFile } from 'node:fs/promises';
import { IdRanges } from '../../event/id-ranges.ts';
import { verifyChain } from '../../evidence/chain.ts';
import type { VerifyingKey } from '../../evidence/keys.ts';
import { hashFromHex, hexOf, leafHash, rootFromPath } from '../../evidence/merkle.ts';
import { parseRanges, parseSeal, type Seal } from '../../evidence/seal.ts';
import { printable } from '../../lib/printable.ts';
import type { CliContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { jsonLine } from '../table.ts';
import { InputProblem } from './input.ts';

/** What `evidence prove` prints: that one record was delivered, checked without any other record. */
export interface Proof {
  readonly v: 1;
  /** The event's id, in digits. */
  readonly id: string;
  /** As the sink delivered it. */
  readonly record: string;
  /** Of its leaf among the delivered records of the seal, from 0. */
  readonly index: number;
  /** How many these are. */
  readonly size: number;
  /** The audit path from the leaf up (RFC 6962 section 2.1.1), hex. */
  readonly path: readonly string[];
  readonly seal: string;
}

/** `evidence verify --proof FILE`. @returns the exit code @throws {InputProblem} */
export async function verifyProof(
  path: string,
  publicKey: VerifyingKey | undefined,
  cli: CliContext,
  asJson: boolean,
): Promise<number> {
  const proof = await readProof(path);
  const parsed = parseSeal(proof.seal);
  if (parsed.kind !== 'seal') throw new InputProblem(`${printable(path, 500)}: its seal is damaged: ${parsed.detail}`);
  const { seal, line } = parsed;
  const found = { seal, line, text: proof.seal, place: path };
  // A single seal: what comes before it is not asked for.
  const chain = verifyChain([found], { publicKey, fromMs: Date.parse(seal.from.at), toMs: Date.parse(seal.to.at) });
  const problems = [...chain.flaws.filter(({ about }) => about === 'integrity'), ...proofFlaws(proof, seal)];
  const isBroken = problems.some(({ verdict }) => verdict === 'broken');
  const verdict = isBroken ? 'broken' : problems.length > 0 ? 'not covered' : 'proved';
  const { id } = proof;
  if (asJson) await cli.print(jsonLine({ v: 1, id, integrity: verdict, seal: seal.seq, problems }));
  else {
    const lines = problems.map((flaw) => `${flaw.verdict}: ${printable(flaw.detail, 1000)}`);
    const what = `event ${id} of ${seal.tenant}, delivered to ${seal.sink}, seal ${seal.seq}, ${seal.from.at} to ${seal.to.at}`;
    await cli.print(`${[...lines, printable(what, 1000), `integrity: ${verdict}`].join('\n')}\n`);
  }
  if (isBroken) return exitCode.broken;
  return problems.length > 0 ? exitCode.notCovered : exitCode.done;
}

function proofFlaws({ id, record, index, size, path }: Proof, seal: Seal) {
  const broken = (detail: string) => [{ verdict: 'broken', about: 'integrity', detail } as const];
  const ids = IdRanges.of(parseRanges(seal.delivered.ids) ?? []);
  if (!ids.has(BigInt(id))) return broken(`seal ${seal.seq} does not have id ${id} as delivered`);
  if (size !== ids.size || index !== ids.size - 1 - ids.idsAbove(BigInt(id)))
    return broken('index and size are not those of the id in the seal');
  const root = rootFromPath(leafHash(id, Buffer.from(record)), index, size, path.map(hashFromHex));
  const isSame = root !== undefined && hexOf(root) === seal.records;
  return isSame ? [] : broken('the record and its path do not lead to the root of the seal: the record was changed');
}

async function readProof(path: string): Promise<Proof> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string') throw error;
    throw new InputProblem(
      `${printable(path, 500)} ${code === 'ENOENT' ? 'does not exist' : `can't be read (${code})`}`,
    );
  }
  const value = parsed(text);
  const { v, id, record, index, size, path: hashes, seal } = value;
  const isHash = (hash: unknown) => typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash);
  const isProof =
    v === 1 &&
    typeof id === 'string' &&
    /^\d{1,20}$/.test(id) &&
    typeof record === 'string' &&
    Number.isSafeInteger(index) &&
    Number.isSafeInteger(size) &&
    Array.isArray(hashes) &&
    hashes.every(isHash) &&
    typeof seal === 'string';
  if (!isProof) throw new InputProblem(`${printable(path, 500)} is no proof: use what "evidence prove" printed`);
  return value as unknown as Proof;
}

function parsed(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}
