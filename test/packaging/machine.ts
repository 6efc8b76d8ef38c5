import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './checks.ts';
import { type Outcome, runCommand } from './commands.ts';

const MAX_STEP_SECONDS = 900;

/** A disposable Debian with its own systemd, on this host's network. */
export class Machine implements AsyncDisposable {
  readonly #prefix: string;
  readonly #tool: ChildProcess;
  readonly #hold: number;
  readonly #folder: string;

  /** `args`: more of what nspawn-run takes, steps too. */
  static async boot(tools: string, args: readonly string[]): Promise<Machine> {
    const folder = mkdtempSync(join(tmpdir(), 'forwarder-machine-'));
    const [fifo, prefix] = [join(folder, 'hold'), join(folder, 'prefix')];
    execFileSync('mkfifo', [fifo]);
    // Open in both directions, so that this end never waits; it stays up until this process lets go.
    const hold = openSync(fifo, 'r+');
    const step = `printf %s "$NSPAWN_EXEC" >'${prefix}.new' && mv '${prefix}.new' '${prefix}' && exec cat '${fifo}'`;
    const tool = spawn(
      join(tools, 'nspawn-run'),
      ['--quiet', '--step-timeout', String(MAX_STEP_SECONDS), ...args, '--host', step],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let said = '';
    for (const stream of [tool.stdout, tool.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    const read = () => {
      if (tool.exitCode !== null) throw new Error(`no machine (${tool.exitCode}): ${said.slice(-1000)}`);
      try {
        return readFileSync(prefix, 'utf8');
      } catch {
        return undefined;
      }
    };
    return new Machine(await until(read, () => `no machine: ${said.slice(-1000)}`, 300_000), tool, hold, folder);
  }

  private constructor(prefix: string, tool: ChildProcess, hold: number, folder: string) {
    this.#prefix = prefix;
    this.#tool = tool;
    this.#hold = hold;
    this.#folder = folder;
  }

  /** Runs a bash command line inside, as root. */
  exec(command: string, input: string | Buffer = ''): Promise<Outcome> {
    return runCommand('bash', ['-c', `exec ${this.#prefix} bash -c "$1"`, '-', command], input);
  }

  /** As `run`. @throws if the command fails */
  async do(command: string, input: string | Buffer = ''): Promise<string> {
    const { code, output } = await this.exec(command, input);
    if (code !== 0) throw new Error(`${command}: exit ${code}: ${output.slice(-500)}`);
    return output;
  }

  /** Writes a file inside. */
  async write(path: string, text: string, mode = '0644', group = 'root'): Promise<void> {
    await this.do(
      `(umask 077 && cat >'${path}.new') && chgrp ${group} '${path}.new' &&
       chmod ${mode} '${path}.new' && mv '${path}.new' '${path}'`,
      text,
    );
  }

  /** Properties of a unit, as systemd reports them. */
  async show(unit: string): Promise<Readonly<Record<string, string>>> {
    const properties = 'ActiveState,SubState,Result,NRestarts,ExecMainStatus,MainPID,StatusText,InvocationID';
    const text = await this.do(`systemctl show -p ${properties} ${unit}`);
    return Object.fromEntries(text.split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#tool.once('close', resolve));
    this.#tool.kill('SIGTERM');
    if (this.#tool.exitCode === null) await ended;
    closeSync(this.#hold);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
