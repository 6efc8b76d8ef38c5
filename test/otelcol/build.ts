import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const manifest = fileURLToPath(new URL('manifest.yaml', import.meta.url));
const MAX_STEP_MS = 15 * 60_000;

/** The collector's program, or why it is unavailable. */
export type Found = { readonly program: string } | { readonly missing: string };

/**
 * Returns the cached collector, or builds it first: a few minutes at low priority, one compilation at a time. It counts as
 * unavailable if the Go toolchain or modules are missing. @throws Error if the fetched modules do not compile
 */
export async function findCollector(say: (line: string) => void): Promise<Found> {
  const text = await readFile(manifest, 'utf8');
  const { dist } = parse(text) as Manifest;
  const parts = createHash('sha256').update(text).digest('hex').slice(0, 8);
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'qasphere-siem-forwarder');
  const program = join(cache, `${dist.name}-${dist.version}-${parts}`);
  if (existsSync(program)) return { program };

  const flags = await run('go', ['env', 'GOFLAGS'], process.env).catch(() => undefined);
  if (flags?.code !== 0) return { missing: 'there is no Go toolchain' };
  say(`building the OpenTelemetry Collector ${dist.version} into ${program}; this takes a few minutes`);
  const directory = await mkdtemp(join(tmpdir(), 'otelcol-build-'));
  try {
    // The builder and Go leave files in TMPDIR.
    const go = { ...process.env, GOFLAGS: `${flags.output.trim()} -p=1`, GOBIN: directory, TMPDIR: directory };
    const builder = `go.opentelemetry.io/collector/cmd/builder@v${dist.version}`;
    const build = (...skipped: readonly string[]) =>
      run(join(directory, 'builder'), ['--config', manifest, ...skipped], go, directory);
    const installed = await run('go', ['install', builder], go);
    const fetched = installed.code === 0 ? await build('--skip-compilation') : installed;
    if (fetched.code !== 0) return { missing: `Go modules unavailable: ${lastLine(fetched.output)}` };
    const compiled = await build('--skip-generate', '--skip-get-modules');
    if (compiled.code !== 0) throw new Error(`the collector does not compile:\n${compiled.output.slice(-5_000)}`);
    await mkdir(dirname(program), { recursive: true });
    // Another build may come to its end at the same time.
    const placed = `${program}.${process.pid}`;
    await copyFile(join(directory, dist.output_path, dist.name), placed);
    await rename(placed, program);
    return { program };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Manifest {
  readonly dist: { readonly name: string; readonly version: string; readonly output_path: string };
}

interface Ended {
  readonly code: number;
  readonly output: string;
}

/** @throws the system's error if the command can't be started */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn('nice', ['-n', '19', command, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: MAX_STEP_MS,
      ...(cwd !== undefined && { cwd }),
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, output }));
  });
}

const lastLine = (output: string): string => output.trim().split('\n').at(-1) ?? '';
