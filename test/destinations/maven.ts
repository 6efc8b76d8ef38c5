import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MAX_FETCH_MS = 10 * 60_000;

/** The class path of a program in Java, or why it is unavailable. */
export type Jars = { readonly classPath: string } | { readonly missing: string };

/** `group:artifact:version` from Maven Central with what they need, fetched once into the cache as `name`. */
export async function fetchJars(
  name: string,
  artifacts: readonly string[],
  say: (line: string) => void,
): Promise<Jars> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'qasphere-siem-forwarder');
  const directory = join(cache, name);
  for (const program of ['java', 'mvn'])
    if ((await run(program, ['-version']).catch(() => undefined)) === undefined)
      return { missing: `there is no ${program}` };
  if (existsSync(directory)) return { classPath: join(directory, '*') };
  say(`fetching ${name} into ${directory}`);
  const project = await mkdtemp(join(tmpdir(), 'maven-'));
  try {
    await writeFile(join(project, 'pom.xml'), pomOf(artifacts));
    const target = join(project, 'lib');
    const args = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${target}`];
    const fetched = await run('mvn', args, { cwd: project, timeout: MAX_FETCH_MS }).catch((error: Error) => error);
    if (fetched instanceof Error) return { missing: `${name} can't be fetched: ${fetched.message.split('\n')[0]}` };
    await mkdir(cache, { recursive: true });
    await rename(target, directory);
    return { classPath: join(directory, '*') };
  } finally {
    await rm(project, { recursive: true, force: true });
  }
}

function pomOf(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(':');
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`;
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>test</artifactId><version>1</version>
  <dependencies>${dependencies.join('')}</dependencies>
</project>
`;
}
