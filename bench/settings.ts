const quick = process.env['BENCH_QUICK'] === '1';

const number = (name: string, usual: number, short: number) => Number(process.env[name] ?? (quick ? short : usual));

const events = number('BENCH_EVENTS', 1_000_000, 100_000);

/** What the environment asks for; BENCH_QUICK=1 shortens everything. */
export const settings = {
  quick,
  /** Events of the headline import, of that at the API's limit, beside other programs, of the longest backlog, and with all sinks down. */
  events,
  /** Events of one run where several of a kind are compared. */
  fewer: Math.min(events, quick ? 40_000 : 200_000),
  /** Runs of each kind, taken in turns; the best counts. */
  rounds: number('BENCH_ROUNDS', 3, 1),
  idleSeconds: number('BENCH_IDLE_SECONDS', 60, 15),
  /** How long events appear whose way is timed. */
  freshSeconds: number('BENCH_FRESH_SECONDS', 60, 10),
  /** How long the program runs with all sinks down. */
  downSeconds: number('BENCH_DOWN_SECONDS', 30, 5),
  /** Build the single executable if it is not there. */
  binary: process.env['BENCH_BINARY'] === '1',
} as const;

/** Requests a second that the API grants. */
export const apiLimit = 20;
