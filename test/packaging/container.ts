import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './checks.ts';
import { type Outcome, runCommand } from './commands.ts';

export interface ContainerOptions {
  readonly image: string;
  readonly name: string;
  /** More of what image-run takes. */
  readonly args: readonly string[];
  /** A file for the process id. */
  readonly pidFile: string;
}

/** The image, locked down as image-run does it: read-only root, no capabilities, no new privileges. */
export class Container {
  readonly #tools: string;
  readonly #options: ContainerOptions;
  readonly #tool: ChildProcess;
  /** Exit code of the program; 128 and the signal where one ended it. */
  readonly ended: Promise<number>;
  output = '';

  constructor(tools: string, options: ContainerOptions) {
    this.#tools = tools;
    this.#options = options;
    const { image, name, args, pidFile } = options;
    this.#tool = spawn(join(tools, 'image-run'), ['--name', name, '--pid-file', pidFile, ...args, image], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#tool.stdout, this.#tool.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    this.ended = new Promise((resolve) => this.#tool.once('close', (code) => resolve(code ?? 128)));
  }

  /** As `docker stop` does it. */
  terminate(): void {
    this.#tool.kill('SIGTERM');
  }

  /** SIGKILL for the program itself. */
  async kill(): Promise<void> {
    const pid = await until(
      () => {
        try {
          return Number(readFileSync(this.#options.pidFile, 'utf8'));
        } catch {
          return undefined;
        }
      },
      () => `no ${this.#options.pidFile}`,
    );
    process.kill(pid, 'SIGKILL');
  }

  /** Runs the image's HEALTHCHECK once. */
  health(): Promise<Outcome> {
    return runCommand(join(this.#tools, 'image-run'), ['--health', this.#options.name]);
  }
}
