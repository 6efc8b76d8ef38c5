import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import aws4 from 'aws4';

const run = promisify(execFile);
const version = 'v1.8.0';
const MAX_BUILD_MS = 10 * 60_000;
const MAX_START_MS = 30_000;

/** The Versity S3 Gateway, built once into the cache; or why it is unavailable. */
export async function findGateway(
  say: (line: string) => void,
): Promise<{ readonly program: string } | { readonly missing: string }> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'qasphere-siem-forwarder');
  const program = join(cache, `versitygw-${version}`);
  if (existsSync(program)) return { program };
  if ((await run('go', ['version']).catch(() => undefined)) === undefined)
    return { missing: 'there is no Go toolchain' };
  say(`building the Versity S3 Gateway ${version} into ${program}`);
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, 'versitygw-build-'));
  try {
    const env = { ...process.env, GOBIN: directory };
    const args = ['install', '-p', '1', `github.com/versity/versitygw/cmd/versitygw@${version}`];
    const built = await run('go', args, { env, timeout: MAX_BUILD_MS }).catch((error: Error) => error);
    if (built instanceof Error) return { missing: `it can't be built: ${built.message.split('\n')[1] ?? ''}` };
    await rename(join(directory, 'versitygw'), program);
    return { program };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export const keys = { accessKeyId: 'AKIAOBVIOUSLYFAKE', secretAccessKey: 'obviously/fake+secret+key' } as const;
const region = 'eu-central-1';

/** An S3 server on loopback that keeps objects as files. It verifies signatures and knows conditional writes. */
export class S3Gateway implements AsyncDisposable {
  readonly url: string;
  readonly #directory: string;
  readonly #child: ChildProcess;

  static async start(program: string): Promise<S3Gateway> {
    const directory = await mkdtemp(join(tmpdir(), 's3-gateway-'));
    for (const name of ['data', 'meta']) await mkdir(join(directory, name));
    const port = await freePort();
    const options = ['--port', `127.0.0.1:${port}`, '--region', region, '--quiet'];
    const posix = ['posix', '--sidecar', join(directory, 'meta'), join(directory, 'data')];
    const env = { ROOT_ACCESS_KEY: keys.accessKeyId, ROOT_SECRET_KEY: keys.secretAccessKey, TMPDIR: directory };
    const child = spawn(program, [...options, ...posix], { env, stdio: 'ignore' });
    const gateway = new S3Gateway(`http://127.0.0.1:${port}`, directory, child);
    const end = performance.now() + MAX_START_MS;
    while ((await fetch(gateway.url).catch(() => undefined)) === undefined)
      if (performance.now() > end) throw new Error('the gateway does not start');
    return gateway;
  }

  private constructor(url: string, directory: string, child: ChildProcess) {
    this.url = url;
    this.#directory = directory;
    this.#child = child;
  }

  async createBucket(name: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#ask('PUT', `/${name}`, headers);
  }

  /** The headers of an object. */
  async head(bucket: string, key: string): Promise<Headers> {
    return (await this.#ask('HEAD', `/${bucket}/${key}`)).headers;
  }

  /** Every object with its text, decompressed, in order of key. */
  async objects(bucket: string): Promise<{ readonly key: string; readonly text: string }[]> {
    const root = join(this.#directory, 'data', bucket);
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
    return Promise.all(
      files.toSorted().map(async (path) => {
        const bytes = await readFile(path);
        return { key: path.slice(root.length + 1), text: String(path.endsWith('.gz') ? gunzipSync(bytes) : bytes) };
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #ask(method: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const { host } = new URL(this.url);
    const request = { method, host, path, service: 's3', region, headers: { ...headers } };
    const signed = aws4.sign(request, keys).headers as Record<string, string>;
    const { Host: _, ...sent } = signed;
    const answer = await fetch(this.url + path, { method, headers: sent });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}
