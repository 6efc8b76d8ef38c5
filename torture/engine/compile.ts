import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Compiles one of the kit's libraries. Returns undefined on success, otherwise the reason it failed. */
export function compile(name: string, library: string): string | undefined {
  if (process.platform !== 'linux') return 'LD_PRELOAD with the names of glibc: Linux only';
  const source = fileURLToPath(new URL(name, import.meta.url));
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return isMissing ? 'no C compiler here' : 'the library does not compile here';
  }
}
