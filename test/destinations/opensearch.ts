import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './ports.ts';

const source = fileURLToPath(new URL('OpenSearchServer.java', import.meta.url));
const MAX_START_MS = 90_000;

export interface Hit {
  readonly _id: string;
  readonly _version: number;
  readonly _source: Readonly<Record<string, unknown>>;
}

/** One node of OpenSearch on loopback. */
export class OpenSearch implements AsyncDisposable {
  readonly url: string;
  readonly #classPath: string;
  readonly #home = mkdtempSync(join(tmpdir(), 'opensearch-'));
  readonly #port: number;
  #child: ChildProcess | undefined;

  static async start(classPath: string): Promise<OpenSearch> {
    const server = new OpenSearch(classPath, await freePort());
    await server.start();
    return server;
  }

  private constructor(classPath: string, port: number) {
    this.#classPath = classPath;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    for (const name of ['config', 'modules', 'plugins', 'lib']) mkdirSync(join(this.#home, name));
  }

  async start(): Promise<void> {
    // Java compiles a single source file itself.
    const args = ['-Xmx512m', '-cp', this.#classPath, source, this.#home, String(this.#port)];
    this.#child = spawn('java', args, { stdio: 'ignore' });
    const end = performance.now() + MAX_START_MS;
    while ((await fetch(this.url).catch(() => undefined))?.status !== 200) {
      if (performance.now() > end) throw new Error('OpenSearch does not start');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** SIGKILL, as a crash does. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async put(path: string, body: object): Promise<void> {
    const answer = await fetch(`${this.url}/${path}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  }

  /** Every document of an index, in order of `_id`. */
  async documents(index: string): Promise<Hit[]> {
    const size = 10_000;
    await fetch(`${this.url}/${index}/_refresh`, { method: 'POST' });
    const answer = await fetch(`${this.url}/${index}/_search?size=${size}&version=true`);
    const { hits } = (await answer.json()) as { readonly hits: { readonly hits: readonly Hit[] } };
    return hits.hits.toSorted((a, b) => a._id.localeCompare(b._id, 'en', { numeric: true }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#home, { recursive: true, force: true });
  }
}
