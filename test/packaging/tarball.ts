import { execFile, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Checks, holds, until } from './checks.ts';

const run = promisify(execFile);
/** The programs of this Node come first: npm's own may be another one. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` };
const stop = { timeout: 120_000, env };

/** What npm would publish: its files, the program in it, and the example of a plug-in built and tested with it. */
export async function checkTarball(checks: Checks, root: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tarball-'));
  try {
    await run('npm', ['run', '--silent', 'build'], { ...stop, cwd: root });
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', directory], { ...stop, cwd: root });
    const [packed] = Object.values(JSON.parse(stdout)) as [{ filename: string; files: { path: string }[] }];
    const tarball = join(directory, packed.filename);
    await checks.check('the package contains program, interfaces, examples and units, and nothing else', async () => {
      const paths = packed.files.map(({ path }) => path);
      const own = ['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json', 'dist/sink.d.ts', 'dist/testing.d.ts'];
      const odd = paths.filter(
        (path) => !own.includes(path) && !/^(config|systemd)\/|^dist\/[\w-]+\.js(\.map)?$/.test(path),
      );
      holds(odd.length === 0, `contains ${odd.join(', ')}`);
      for (const path of [...own, 'dist/main.js', 'dist/sink.js', 'dist/testing.js'])
        holds(paths.includes(path), `lacks ${path}`);
    });
    const user = join(directory, 'user');
    cpSync(join(root, 'examples/sink-plugin'), user, {
      recursive: true,
      filter: (path) => !/node_modules|dist$/.test(path),
    });
    await checks.check('the example plug-in is built and passes the suite with the packed package', async () => {
      await run('npm', ['install', '--no-audit', '--no-fund', tarball], { ...stop, cwd: user });
      await run('npm', ['test'], { ...stop, cwd: user });
    });
    await checks.check('the packed program runs the demo', async () => {
      const demo = spawn(join(user, 'node_modules/.bin/qasphere-siem-forwarder'), ['demo'], {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let text = '';
      demo.stdout.on('data', (piece: Buffer) => {
        text += String(piece);
      });
      try {
        await until(
          () => text.split('\n').length > 10,
          () => `it printed: ${text.slice(0, 500)}`,
        );
      } finally {
        demo.kill('SIGTERM');
      }
    });
    await checks.check(
      'the packed program finds the example plug-in in a folder for plug-ins, and its options valid',
      async () => {
        const place = join(directory, 'plugins', 'node_modules', '@acme', 'qasphere-siem-sink-lines');
        cpSync(join(user, 'dist'), join(place, 'dist'), { recursive: true });
        cpSync(join(user, 'package.json'), join(place, 'package.json'));
        cpSync(join(user, 'node_modules/zod'), join(directory, 'plugins/node_modules/zod'), { recursive: true });
        const config = join(directory, 'config.yaml');
        const sink = `{ type: plugin, use: "@acme/qasphere-siem-sink-lines", options: { path: "${join(directory, 'out')}" } }`;
        const text = `source: { url: "http://127.0.0.1:9", apiKey: k }\nsinks: [${sink}]\nplugins: { directory: "${join(directory, 'plugins')}" }\n`;
        writeFileSync(config, text, { mode: 0o600 });
        const program = join(user, 'node_modules/.bin/qasphere-siem-forwarder');
        await run(program, ['check', '--offline', '-c', config], stop);
      },
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
