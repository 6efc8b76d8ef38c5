import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Outcome } from './history.ts';
import type { Plan } from './plan.ts';

interface Child {
  readonly process: ChildProcess;
  /** File that receives its standard error. */
  readonly log: string;
}

type Said = { ready: true } | { outcome: Outcome } | { failure: string };

/** Histories mostly wait: for the next try, an acknowledgement, a timeout. */
const perCore = 8;

/** Child processes that execute histories in parallel. */
export class Pool implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'torture-pool-'));
  readonly #children = new Set<ChildProcess>();
  readonly #idle: Child[] = [];
  #count = 0;

  /** Executes each plan and calls `done` with its outcome. @throws if the kit itself fails */
  async play(plans: readonly Plan[], done: (outcome: Outcome, plan: Plan) => void, isEnough = () => false) {
    const rest = plans.values();
    const size = Math.min(plans.length, availableParallelism() * perCore);
    await Promise.all(
      Array.from({ length: size }, async () => {
        const child = this.#idle.pop() ?? (await this.#start());
        for (const plan of rest) {
          if (isEnough()) break;
          done(await this.#one(child, plan), plan);
        }
        this.#idle.push(child);
      }),
    );
  }

  async #start(): Promise<Child> {
    const name = join(this.#directory, String(this.#count++));
    const [out, err] = [openSync(`${name}.out`, 'a', 0o600), openSync(`${name}.err`, 'a', 0o600)];
    const worker = fileURLToPath(new URL('./worker.ts', import.meta.url));
    const child = fork(worker, [`${name}.out`], { stdio: ['ignore', out, err, 'ipc'], serialization: 'advanced' });
    closeSync(out);
    closeSync(err);
    this.#children.add(child);
    const started = { process: child, log: `${name}.err` };
    await this.#output(started);
    return started;
  }

  async #one(child: Child, plan: Plan): Promise<Outcome> {
    const output = this.#output(child);
    child.process.send(plan);
    const answer = await output;
    if ('outcome' in answer) return answer.outcome;
    throw new Error(`the kit failed itself at ${JSON.stringify(plan)}: ${'failure' in answer ? answer.failure : ''}`);
  }

  #output({ process, log }: Child): Promise<Said> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null) =>
        reject(new Error(`a worker ended with ${code}: ${readFileSync(log, 'utf8').slice(-500)}`));
      process.once('exit', onExit);
      process.once('message', (output: Said) => {
        process.off('exit', onExit);
        resolve(output);
      });
    });
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
