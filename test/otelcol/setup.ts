import type { TestProject } from 'vitest/node';
import { type Found, findCollector } from './build.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly otelcol: Found;
  }
}

/** Builds the collector before the first test, or reports why it is unavailable. */
export default async function setup(project: TestProject): Promise<void> {
  const found = await findCollector((line) => process.stderr.write(`${line}\n`));
  if ('missing' in found) process.stderr.write(`no OpenTelemetry Collector: ${found.missing}\n`);
  project.provide('otelcol', found);
}
