// Above 250 lines: the rules of one chain, which depend on each other.
import type { Cursor } from '../event/event.ts';
import { type IdRange, IdRanges } from '../event/id-ranges.ts';
import { canonicalJson } from './canonical-json.ts';
import { KeyProblem, type VerifyingKey, verifyingKey } from './keys.ts';
import { hashFromHex, hexOf, MerkleTree } from './merkle.ts';
import { lineHash, noSeal, parseRanges, type Seal, signedText } from './seal.ts';

/** A seal as it was found. */
export interface FoundSeal {
  readonly seal: Seal;
  /** Its canonical line. */
  readonly line: string;
  /** The text that was found, if it was a line of a seal file. */
  readonly text?: string;
  /** File and line. */
  readonly place: string;
}

/** What is wrong or missing; `broken` weighs more. */
export interface Flaw {
  readonly verdict: 'broken' | 'not covered';
  readonly about: 'integrity' | 'completeness';
  /** One line for a person. */
  readonly detail: string;
}

export interface Chain {
  readonly tenant: string;
  readonly sink: string;
  /** Those of the range that was asked for, in order. */
  readonly seals: readonly FoundSeal[];
  readonly flaws: readonly Flaw[];
  /** Seals without a flaw of their own. */
  readonly valid: number;
  /** Id of the key that signed the newest seal. */
  readonly key: string | null;
  /** Nothing newer was left out: what lies beyond the newest seal has no seal here. */
  readonly isWhole: boolean;
}

export interface ChainOptions {
  readonly publicKey?: VerifyingKey | undefined;
  /** Milliseconds since the epoch. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

const broken = (detail: string): Flaw => ({ verdict: 'broken', about: 'integrity', detail });
const gap = (detail: string): Flaw => ({ verdict: 'not covered', about: 'completeness', detail });

/** Verifies the seals of one tenant and sink, in the order in which they were found. */
export function verifyChain(found: readonly FoundSeal[], options: ChainOptions): Chain {
  const isRecord = found.some(({ text }) => text === undefined);
  // Records of an export come in any order and may come twice; lines of a file do not.
  const ordered = isRecord ? withoutRepeats(found) : found;
  const { fromMs = Number.NEGATIVE_INFINITY, toMs = Number.POSITIVE_INFINITY } = options;
  const seals = ordered.filter(({ seal }) => Date.parse(seal.to.at) >= fromMs && Date.parse(seal.from.at) <= toMs);
  const flaws: Flaw[] = [];
  const signatures = new Signatures(options.publicKey);
  let valid = 0;
  const amendable = new Map<number, Seal>();
  for (const [index, one] of seals.entries()) {
    const own = [
      ...ownFlaws(one),
      ...orderFlaws(one, seals[index - 1]),
      ...signatures.flaws(one),
      ...amendFlaws(one.seal, amendable, isRecord || fromMs > Number.NEGATIVE_INFINITY),
    ];
    amendable.set(one.seal.seq, one.seal);
    if (own.length === 0) valid += 1;
    flaws.push(...own.map((flaw) => ({ ...flaw, detail: `seal ${one.seal.seq} (${one.place}): ${flaw.detail}` })));
  }
  const [first, last] = [seals[0]?.seal, seals.at(-1)?.seal];
  if (first === undefined || last === undefined) flaws.push(gap('no seal lies in the range that was asked for'));
  else {
    flaws.push(...rangeFlaws(first, last, options));
    flaws.push(...signatures.summary());
  }
  const named = ordered[0]?.seal ?? { tenant: '', sink: '' };
  return {
    tenant: named.tenant,
    sink: named.sink,
    seals,
    flaws,
    valid,
    key: last?.key ?? null,
    isWhole: seals.at(-1) === ordered.at(-1) && toMs > Date.parse(ordered.at(-1)?.seal.to.at ?? ''),
  };
}

function withoutRepeats(found: readonly FoundSeal[]): FoundSeal[] {
  const byLine = new Map(found.map((one) => [one.line, one]));
  return [...byLine.values()].sort((a, b) => a.seal.seq - b.seal.seq);
}

/** What one seal alone shows. */
function ownFlaws({ seal, line, text }: FoundSeal): Flaw[] {
  const flaws: Flaw[] = [];
  if (text !== undefined && text !== line) flaws.push(broken('its line is not canonical JSON, so it was altered'));
  const [after, to] = [BigInt(seal.from.after), BigInt(seal.to.after)];
  if (Date.parse(seal.to.at) < Date.parse(seal.from.at))
    flaws.push(broken('it ends before it begins: the clock was reset'));
  if (to < after) flaws.push(broken('it ends before its first id'));
  const kinds = [seal.delivered, seal.filtered, seal.deadLettered].map(({ ids }) => parseRanges(ids) ?? []);
  if (overlap(kinds.flat())) flaws.push(broken('an id is in two of delivered, filtered and deadLettered'));
  const all = kinds.flat();
  if (seal.amends === undefined && all.some(([from, end]) => from <= after || end > to))
    flaws.push(broken('it names ids outside its interval'));
  const empty = hexOf(new MerkleTree().root);
  const count = countOf(seal);
  if (count === 0 && seal.source !== empty) flaws.push(broken('it is empty, and its source root is not'));
  if (seal.delivered.count === 0 && seal.records !== empty)
    flaws.push(broken('it delivered nothing, and its records root says otherwise'));
  const { tree } = seal;
  const restored = treeOf(tree);
  if (restored === undefined) flaws.push(broken('its tree has a frontier that does not fit its size'));
  else if (hexOf(restored.root) !== tree.root) flaws.push(broken('its tree root does not follow from its frontier'));
  return flaws;
}

/** What a seal and the one before it show. */
function orderFlaws({ seal }: FoundSeal, before: FoundSeal | undefined): Flaw[] {
  if (before === undefined) {
    if (seal.seq !== 1) return [];
    const flaws = seal.prev === noSeal ? [] : [broken('it is the first, and names one before it')];
    if (seal.tree.size !== countOf(seal)) flaws.push(broken('its tree does not begin with it'));
    return flaws;
  }
  const last = before.seal;
  if (seal.seq <= last.seq) {
    const isSame = before.line === canonicalJson(seal);
    return [broken(isSame ? 'it is there twice' : `it comes after seal ${last.seq}: a line is doubled or misplaced`)];
  }
  if (seal.seq > last.seq + 1) {
    const missing =
      seal.seq === last.seq + 2 ? `seal ${last.seq + 1} is` : `the seals ${last.seq + 1} to ${seal.seq - 1} are`;
    return [broken(`${missing} missing before it`), gap(`no seal covers the time before it, from ${last.to.at}`)];
  }
  const flaws: Flaw[] = [];
  if (seal.prev !== lineHash(before.line))
    flaws.push(broken(`it does not continue seal ${last.seq}: one of them was altered`));
  if (Date.parse(seal.from.at) !== Date.parse(last.to.at))
    flaws.push(broken(`it begins at ${seal.from.at}, and seal ${last.seq} ends at ${last.to.at}`));
  if (seal.tree.size !== last.tree.size + countOf(seal)) flaws.push(broken('its tree does not grow by its events'));
  else if (countOf(seal) === 0 && seal.tree.root !== last.tree.root)
    flaws.push(broken('it is empty, and its tree is another one'));
  if (seal.amends !== undefined) return flaws;
  const [after, end] = [BigInt(seal.from.after), BigInt(last.to.after)];
  const isMoved = seal.recovered === true || (seal.operations ?? []).some(({ op }) => op !== 'replay');
  if (after < end && !isMoved) flaws.push(broken(`it begins at id ${after}, before the end of seal ${last.seq}`));
  if (after > end) flaws.push(gap(`no seal covers the ids ${end + 1n} to ${after}`));
  return flaws;
}

/** An amending seal holds events that appeared behind the end of an earlier one. */
function amendFlaws(seal: Seal, earlier: ReadonlyMap<number, Seal>, isPart: boolean): Flaw[] {
  if (seal.amends === undefined) return [];
  const amended = earlier.get(seal.amends);
  if (amended === undefined) return isPart ? [] : [broken(`it amends seal ${seal.amends}, which is not before it`)];
  const ids = idsOf(seal);
  const [after, to] = [BigInt(amended.from.after), BigInt(amended.to.after)];
  if (ids.some(([from, end]) => from <= after || end > to))
    return [broken(`it names ids outside the interval of seal ${seal.amends}`)];
  return overlap([...ids, ...idsOf(amended)]) ? [broken(`it names ids that seal ${seal.amends} has`)] : [];
}

/** Whether the seals reach over the range that was asked for. */
function rangeFlaws(first: Seal, last: Seal, { fromMs, toMs }: ChainOptions): Flaw[] {
  const flaws: Flaw[] = [];
  const isStart = first.seq === 1;
  if (fromMs === undefined && !isStart)
    flaws.push(gap(`the chain begins with seal ${first.seq}: the seals before it are not given`));
  if (fromMs !== undefined && Date.parse(first.from.at) > fromMs)
    flaws.push(gap(`nothing is sealed before ${first.from.at}`));
  if (toMs !== undefined && Date.parse(last.to.at) < toMs) flaws.push(gap(`nothing is sealed after ${last.to.at}`));
  return flaws;
}

/** Follows the keys of a chain from the one that is trusted. */
class Signatures {
  #trusted: VerifyingKey | undefined;
  readonly #isGiven: boolean;
  #signed = 0;
  #announced: string | undefined;

  constructor(trusted: VerifyingKey | undefined) {
    this.#trusted = trusted;
    this.#isGiven = trusted !== undefined;
  }

  flaws({ seal }: FoundSeal): Flaw[] {
    const flaws = this.#flaws(seal);
    this.#announced = seal.nextKey ?? this.#announced;
    return flaws;
  }

  #flaws(seal: Seal): Flaw[] {
    if ((seal.key === null) !== (seal.sig === null)) return [broken('it has a key or a signature, and not the other')];
    if (seal.key !== null) this.#signed += 1;
    if (!this.#isGiven) {
      // Unsigned in a chain that was signed before: somebody took the signatures away.
      return seal.key === null && this.#signed > 0 ? [broken('it is not signed, and seals before it are')] : [];
    }
    const trusted = this.#trusted as VerifyingKey;
    if (seal.key === null || seal.sig === null) return [broken('it is not signed')];
    if (seal.key !== trusted.id) return [broken(`it is signed with key ${seal.key}, not with ${trusted.id}`)];
    if (!trusted.verifies(signedText(seal), seal.sig)) return [broken('its signature is wrong: it was altered')];
    if (seal.nextKey === undefined) return [];
    const next = keyOf(seal.nextKey);
    if (next === undefined) return [broken('its nextKey is no Ed25519 key')];
    this.#trusted = next;
    return [];
  }

  /** What follows for the chain as a whole. */
  summary(): Flaw[] {
    if (this.#isGiven || this.#signed === 0) return [];
    const detail = 'the seals are signed, and no public key is given: use --public-key';
    return [{ verdict: 'not covered', about: 'integrity', detail }];
  }
}

function keyOf(text: string): VerifyingKey | undefined {
  try {
    return verifyingKey(text);
  } catch (error) {
    if (!(error instanceof KeyProblem)) throw error;
    return undefined;
  }
}

function treeOf({ size, frontier }: Seal['tree']): MerkleTree | undefined {
  try {
    return MerkleTree.of(size, frontier.map(hashFromHex));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  }
}

const countOf = ({ delivered, filtered, deadLettered }: Seal) => delivered.count + filtered.count + deadLettered.count;

/** All ids of a seal. */
export const idsOf = ({ delivered, filtered, deadLettered }: Seal): readonly IdRange[] =>
  [delivered, filtered, deadLettered].flatMap(({ ids }) => parseRanges(ids) ?? []);

function overlap(ranges: readonly IdRange[]): boolean {
  let last: Cursor = -1n;
  for (const [from, to] of ranges.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (from <= last) return true;
    last = to;
  }
  return false;
}

/** Ids that may be there more than once, and those that were delivered again by a replay. */
export function announcedIds(seals: readonly FoundSeal[]): { readonly resent: IdRanges; readonly replayed: IdRanges } {
  const add = (set: IdRange[], ids: string | undefined) => set.push(...(parseRanges(ids ?? '') ?? []));
  const [again, replays]: [IdRange[], IdRange[]] = [[], []];
  for (const { seal } of seals) {
    for (const { ids } of seal.resent ?? []) add(again, ids);
    for (const { ids } of seal.operations ?? []) add(replays, ids);
  }
  return { resent: merged(again), replayed: merged(replays) };
}

/** Ranges in any order, which may overlap, as a set. */
function merged(ranges: readonly IdRange[]): IdRanges {
  const all: [Cursor, Cursor][] = [];
  for (const [from, to] of ranges.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const last = all.at(-1);
    if (last === undefined || from > last[1] + 1n) all.push([from, to]);
    else if (to > last[1]) last[1] = to;
  }
  return IdRanges.of(all);
}
