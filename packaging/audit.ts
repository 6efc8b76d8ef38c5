import { spawnSync } from 'node:child_process';

/**
 * `npm run audit`: fails if a dependency has a known vulnerability of level high or worse. If the registry has no
 * advisories (a mirror), it reports that and succeeds.
 */
const { stdout, stderr, status } = spawnSync('npm', ['audit', '--audit-level=high', '--json'], { encoding: 'utf8' });
const report = JSON.parse(stdout || '{}') as {
  vulnerabilities?: Record<string, { severity: string; range: string }>;
  message?: string;
  error?: { summary?: string };
};
if (report.vulnerabilities === undefined) {
  console.log(
    `skipped: no advisories from this registry (${report.message ?? report.error?.summary ?? stderr.trim()})`,
  );
} else {
  for (const [name, { severity, range }] of Object.entries(report.vulnerabilities))
    console.log(`${severity}: ${name} ${range}`);
  console.log(status === 0 ? 'no vulnerability of level high or worse' : 'npm audit fails: see above');
  process.exitCode = status ?? 1;
}
