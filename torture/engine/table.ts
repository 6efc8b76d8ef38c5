import { availableParallelism } from 'node:os';
import type { Account } from './checker.ts';

/** A line of the table. */
export interface Row {
  readonly scenario: string;
  readonly runs: number;
  readonly in: number;
  readonly out: number;
  readonly lost: number;
  readonly doubled: number;
  /** The most duplicates in one run, and their limit. */
  readonly worst: number;
  readonly bound: string;
  readonly setAside: number;
  /** Broken promises. */
  readonly violations: readonly string[];
  readonly skipped?: string;
}

/** Sums up the runs of a scenario. */
export class Tally {
  readonly #scenario: string;
  #bound: string;
  #runs = 0;
  #in = 0;
  #out = 0;
  #lost = 0;
  #doubled = 0;
  #worst = 0;
  #setAside = 0;
  readonly #violations = new Map<string, number>();

  constructor(scenario: string, bound = '0') {
    this.#scenario = scenario;
    this.#bound = bound;
  }

  bound(text: string): void {
    this.#bound = text;
  }

  violation(text: string): void {
    this.#violations.set(text, (this.#violations.get(text) ?? 0) + 1);
  }

  /** Counts a check without a history, or a history reported sink by sink with `part`. */
  run(): void {
    this.#runs++;
  }

  /** `most`: duplicates allowed in this run. */
  add(account: Account, most: number, where = ''): void {
    this.#runs++;
    this.part(account, most, where);
  }

  /** One sink of several in a run. */
  part(account: Account, most: number, where: string): void {
    this.#in += account.in;
    this.#out += account.out;
    this.#lost += account.lost.length;
    this.#doubled += account.doubled.length;
    this.#worst = Math.max(this.#worst, account.doubled.length);
    this.#setAside += account.setAside;
    if (account.lost.length > 0) this.violation(`lost ${account.lost.slice(0, 3).join(', ')}… (${where})`);
    if (account.doubled.length > most)
      this.violation(`${account.doubled.length} came twice, at most ${most} may (${where})`);
    for (const fault of account.faults) this.violation(`${fault} (${where})`);
  }

  row(): Row {
    return {
      scenario: this.#scenario,
      runs: this.#runs,
      in: this.#in,
      out: this.#out,
      lost: this.#lost,
      doubled: this.#doubled,
      worst: this.#worst,
      bound: this.#bound,
      setAside: this.#setAside,
      violations: [...this.#violations].map(([text, times]) => (times > 1 ? `${text} ×${times}` : text)),
    };
  }
}

export function skipped(scenario: string, why: string): Row {
  return {
    scenario,
    runs: 0,
    in: 0,
    out: 0,
    lost: 0,
    doubled: 0,
    worst: 0,
    bound: '',
    setAside: 0,
    violations: [],
    skipped: why,
  };
}

const heads = ['scenario', 'runs', 'in', 'out', 'lost', 'doubled', 'most in a run', 'bound a run', 'set aside', ''];

/** A Markdown table, readable as it is. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((row) =>
    row.skipped === undefined
      ? [
          row.scenario,
          row.runs,
          row.in,
          row.out,
          row.lost,
          row.doubled,
          row.worst,
          row.bound,
          row.setAside,
          row.violations.length === 0 ? 'held' : 'VIOLATED',
        ].map(String)
      : [row.scenario, '', '', '', '', '', '', '', '', `skipped: ${row.skipped}`],
  );
  const widths = heads.map((head, index) => Math.max(head.length, ...cells.map((line) => line[index]?.length ?? 0)));
  const line = (texts: readonly string[]) =>
    `| ${texts.map((text, index) => text.padEnd(widths[index] ?? 0)).join(' | ')} |`;
  return [line(heads), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
}

/** Runs `work` for each item, at most `limit` at once. */
export async function forEachConcurrently<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
  limit = Math.max(2, availableParallelism()),
): Promise<void> {
  const rest = items.entries();
  await Promise.all(
    Array.from({ length: Math.min(limit, items.length) }, async () => {
      for (const [, item] of rest) await work(item);
    }),
  );
}
