import type { TestProject } from 'vitest/node';
import { type Found, findCollector } from './build.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly otelcol: Found;
  }
}

/** Has the collector ready before the first test, or says why there is none. */
export default async function setup(project: TestProject): Promise<void> {
  const found = await findCollector((line) => process.stderr.write(`${line}\n`));
  if ('missing' in found) process.stderr.write(`no OpenTelemetry Collector: ${found.missing}\n`);
  project.provide('otelcol', found);
}
